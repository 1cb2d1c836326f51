/**
 * An operator passes an entry that can't be read: its bytes are kept, the cursor moves past it, in one
 * transaction.
 *
 * KEEP: $1 sale_no  $2 seq  $3 raw  $4 actor
 * PASS: $1 sale_no  $2 seq  $3 digest  $4 chain  $5 reason that is over
 */
import { changes, type Pool, withTransaction } from '../../platform/postgres.ts';
import { CursorMoved } from './move-cursor.ts';

const KEEP = {
  name: 'quarantine_keep',
  text: 'INSERT INTO quarantine (sale_no, seq, raw, actor) VALUES ($1, $2, $3, $4)',
};

const PASS = {
  name: 'quarantine_pass',
  text: `
    UPDATE cursors SET seq = $2, digest = $3, chain = $4, updated_at = now(),
      fenced_reason = CASE WHEN fenced_reason = $5 THEN NULL ELSE fenced_reason END
    WHERE sale_no = $1 AND seq = $2 - 1`,
};

export type QuarantinedEntry = {
  seq: number;
  raw: Buffer;
  digest: Buffer;
  /** Of all digests up to this entry. */
  chain: Buffer;
  actor: string;
  reason_over: string;
};

/** Throws CursorMoved if the cursor does not stand right before the entry. */
export async function quarantineEntry(pool: Pool, saleNo: number, entry: QuarantinedEntry): Promise<void> {
  await withTransaction(pool, async (tx) => {
    await changes(tx, KEEP, [saleNo, entry.seq, entry.raw, entry.actor]);
    const values = [saleNo, entry.seq, entry.digest, entry.chain, entry.reason_over];
    if ((await changes(tx, PASS, values)) !== 1) throw new CursorMoved(saleNo);
  });
}
