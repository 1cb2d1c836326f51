/**
 * Issues a new epoch for a sale, before Redis hears of it: above the ledger's, above what the record says,
 * above the clock. So an epoch never comes twice, even if either store is restored from an older copy. While a sale is
 * being rebuilt only the rebuild issues epochs (ledger/rebuild/): whoever verified before that comes too late. So does
 * whoever looked at Redis before a batch was acknowledged that the memory looked at does not have. The operator's gate is
 * told with it, because the memory to be opened may have forgotten the last one.
 *
 * $1 sale_no  $2 the epoch the caller has seen in the ledger  $3 the record's epoch  $4 identity that was checked
 * $5 the batches that the record has applied
 */
import type { Gate } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const ISSUE_EPOCH = {
  name: 'issue_epoch',
  text: `
    UPDATE cursors c SET
      epoch = greatest(c.epoch, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + 1,
      opened_epoch = least($3, c.epoch), identity = $4, updated_at = now()
    FROM sales s
    WHERE c.sale_no = $1 AND c.epoch = $2 AND c.acked_n <= $5 AND s.sale_no = c.sale_no
      AND NOT EXISTS (SELECT FROM rebuilds r WHERE r.sale_no = $1 AND r.finished_at IS NULL)
    RETURNING c.epoch, s.gate, s.gate_version`,
};

export type IssuedEpoch = { epoch: number; gate: Gate; gate_version: number };

/** Undefined: somebody else has issued one meanwhile, or rebuilds the sale. */
export async function issueEpoch(
  db: Queryable,
  saleNo: number,
  seen: { epoch: number; record_epoch: number; identity: string; applied_n: number },
): Promise<IssuedEpoch | undefined> {
  const values = [saleNo, seen.epoch, seen.record_epoch, seen.identity, seen.applied_n];
  return (await rows<IssuedEpoch>(db, ISSUE_EPOCH, values))[0];
}
