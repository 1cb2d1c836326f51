/**
 * Redis has the record of a new sale: from now on "no record" means that it lost its memory.
 *
 * $1 sale_no  $2 the record's epoch  $3 the record's gate version
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const MARK_LOADED = {
  name: 'mark_loaded',
  text: `
    UPDATE cursors SET loaded = true, epoch = greatest(epoch, $2), opened_epoch = $2,
      gate_version_seen = $3, updated_at = now()
    WHERE sale_no = $1 AND NOT loaded`,
};

export async function markLoaded(
  db: Queryable,
  saleNo: number,
  record: { epoch: number; gate_version: number },
): Promise<void> {
  await changes(db, MARK_LOADED, [saleNo, record.epoch, record.gate_version]);
}
