/**
 * Moves a sale's cursor from where its ingester believes it to be. The compare-and-set is the fence
 * against a second ingester: who loses must roll its transaction back.
 *
 * $1 sale_no  $2 epoch  $3 from seq  $4 to seq  $5 digest  $6 chain  $7 applied n
 * $8 gate version seen (null: none)  $9 reason to fence the sale (null: none)
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const MOVE_CURSOR = {
  name: 'move_cursor',
  text: `
    UPDATE cursors SET seq = $4, digest = $5, chain = $6, applied_n = $7,
      gate_version_seen = greatest(gate_version_seen, coalesce($8, 0)),
      fenced_reason = coalesce(fenced_reason, $9), updated_at = now()
    WHERE sale_no = $1 AND epoch = $2 AND seq = $3`,
};

export type CursorMove = {
  epoch: number;
  from_seq: number;
  seq: number;
  digest: Buffer;
  chain: Buffer;
  applied_n: number;
  gate_version: number | null;
  fenced_reason: string | null;
};

/** Somebody else has moved the cursor. */
export class CursorMoved extends Error {
  constructor(saleNo: number) {
    super(`the cursor of sale ${saleNo} was moved by somebody else`);
    this.name = 'CursorMoved';
  }
}

/** Throws CursorMoved. */
export async function moveCursor(tx: Queryable, saleNo: number, move: CursorMove): Promise<void> {
  const moved = await changes(tx, MOVE_CURSOR, [
    saleNo,
    move.epoch,
    move.from_seq,
    move.seq,
    move.digest,
    move.chain,
    move.applied_n,
    move.gate_version,
    move.fenced_reason,
  ]);
  if (moved !== 1) throw new CursorMoved(saleNo);
}
