/**
 * Seals the next batch of a sale's movements under the number n that follows the last one, if that one has
 * been acknowledged: one batch in flight.
 *
 * Row ids become visible out of order, so numbers are given here and under a lock. The lock is a
 * statement of its own before the transaction: a snapshot taken before waiting would miss what the
 * other sealer did.
 *
 * LOCK, UNLOCK: $1 key   SEAL: $1 sale_no  $2 how many rows at most
 */
import { MOVEMENT_ROWS_MAX } from '../../domain/limits.ts';
import { type Pool, rows, withConnection } from '../../platform/postgres.ts';
import { lockKey } from '../locks.ts';

const LOCK = { name: 'seal_lock', text: 'SELECT pg_advisory_lock($1::bigint)' };
const UNLOCK = { name: 'seal_unlock', text: 'SELECT pg_advisory_unlock($1::bigint)' };

const SEAL_BATCH = {
  name: 'seal_batch',
  text: `
    WITH next AS MATERIALIZED (
      SELECT sealed_n + 1 AS n FROM cursors
      WHERE sale_no = $1 AND sealed_n = acked_n AND loaded FOR NO KEY UPDATE
    ), batch AS MATERIALIZED (
      SELECT id FROM movements WHERE sale_no = $1 AND n IS NULL ORDER BY id LIMIT $2
    ), sealed AS (
      UPDATE movements m SET n = next.n FROM batch, next WHERE m.id = batch.id AND m.n IS NULL
      RETURNING m.id
    )
    UPDATE cursors c SET sealed_n = next.n FROM next
    WHERE c.sale_no = $1 AND EXISTS (SELECT FROM sealed)
    RETURNING c.sealed_n AS n, (SELECT count(*) FROM sealed) AS movements`,
};

/** A batch has at most MOVEMENT_ROWS_MAX movements, so as many SKUs and buyers. Undefined: nothing to seal. */
export function sealBatch(
  pool: Pool,
  saleNo: number,
  movements_max = MOVEMENT_ROWS_MAX,
): Promise<{ n: number; movements: number } | undefined> {
  const key = lockKey('seal', saleNo);
  return withConnection(pool, async (client) => {
    await rows(client, LOCK, [key]);
    try {
      // One statement is one transaction, with a snapshot of its own.
      const [sealed] = await rows<{ n: number; movements: number }>(client, SEAL_BATCH, [
        saleNo,
        movements_max,
      ]);
      return sealed;
    } finally {
      await rows(client, UNLOCK, [key]);
    }
  });
}
