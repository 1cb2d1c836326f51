/**
 * Redis has the record of a new sale: from now on "no record" means that it lost its memory.
 *
 * Its gate stands in the sale's history from before the first entry.
 *
 * $1 sale_no  $2 the record's epoch  $3 the record's gate version  $4 the record's gate (null: the ledger's)
 */
import type { Gate } from '../../domain/types.ts';
import { changes, type Queryable } from '../../platform/postgres.ts';

const MARK_LOADED = {
  name: 'mark_loaded',
  text: `
    WITH marked AS (
      UPDATE cursors SET loaded = true, epoch = greatest(epoch, $2), opened_epoch = $2,
        gate_version_seen = $3, updated_at = now()
      WHERE sale_no = $1 AND NOT loaded
      RETURNING sale_no
    )
    INSERT INTO sale_events (sale_no, kind, gate, gate_version, seq)
    SELECT sale_no, 'gate', coalesce($4::text, s.gate), $3, 0 FROM marked JOIN sales s USING (sale_no)
    ON CONFLICT DO NOTHING`,
};

export async function markLoaded(
  db: Queryable,
  saleNo: number,
  record: { epoch: number; gate_version: number; gate?: Gate },
): Promise<void> {
  await changes(db, MARK_LOADED, [saleNo, record.epoch, record.gate_version, record.gate ?? null]);
}
