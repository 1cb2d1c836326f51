/**
 * Seals the next batch of a sale's movements under the number n that follows the last one, if that one has
 * been acknowledged: one batch in flight.
 *
 * Row ids become visible out of order, so numbers are given here and under a lock. The lock is a
 * statement of its own before the transaction: a snapshot taken before waiting would miss what the
 * other sealer did.
 *
 * LOCK, UNLOCK: $1 key
 * NEXT: $1 sale_no
 * MARK: $1 sale_no  $2 n  $3 how many rows at most
 * SEAL: $1 sale_no  $2 n
 */
import { MOVEMENT_ROWS_MAX } from '../../domain/limits.ts';
import { changes, type Pool, rows, transaction, withConnection } from '../../platform/postgres.ts';
import { lockKey } from '../locks.ts';
import { ackBatch } from './ack-batch.ts';

const LOCK = { name: 'seal_lock', text: 'SELECT pg_advisory_lock($1::bigint)' };
const UNLOCK = { name: 'seal_unlock', text: 'SELECT pg_advisory_unlock($1::bigint)' };

const NEXT_BATCH = {
  name: 'next_batch',
  text: 'SELECT sealed_n + 1 AS n FROM cursors WHERE sale_no = $1 AND sealed_n = acked_n AND loaded',
};

// By the rows' places: nobody touches a movement but under the lock, and a plan that joined would be made for none of them.
const MARK_BATCH = {
  name: 'mark_batch',
  text: `
    UPDATE movements SET n = $2 WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM movements WHERE sale_no = $1 AND n IS NULL ORDER BY id LIMIT $3
    ))`,
};

const SEAL_BATCH = {
  name: 'seal_batch',
  text: 'UPDATE cursors SET sealed_n = $2 WHERE sale_no = $1 AND sealed_n = $2 - 1 AND acked_n = $2 - 1',
};

export type SealOptions = {
  /** What Redis has applied, and under which epoch: acknowledged in the same transaction, whether or not there is more. */
  applied?: { n: number; epoch: number };
  movements_max?: number;
};

/** A batch has at most MOVEMENT_ROWS_MAX movements, so as many SKUs and buyers. Undefined: nothing to seal. */
export function sealBatch(
  pool: Pool,
  saleNo: number,
  { applied, movements_max = MOVEMENT_ROWS_MAX }: SealOptions = {},
): Promise<{ n: number; movements: number } | undefined> {
  const key = lockKey('seal', saleNo);
  return withConnection(pool, async (client) => {
    await rows(client, LOCK, [key]);
    try {
      return await transaction(client, async () => {
        if (applied) await ackBatch(client, saleNo, applied);
        const [next] = await rows<{ n: number }>(client, NEXT_BATCH, [saleNo]);
        if (!next) return undefined;
        const movements = await changes(client, MARK_BATCH, [saleNo, next.n, movements_max]);
        if (movements === 0) return undefined;
        if ((await changes(client, SEAL_BATCH, [saleNo, next.n])) !== 1) {
          throw new Error(
            `batch ${next.n} of sale ${saleNo} was sealed by somebody else, in spite of the lock`,
          );
        }
        return { n: next.n, movements };
      });
    } finally {
      await rows(client, UNLOCK, [key]);
    }
  });
}
