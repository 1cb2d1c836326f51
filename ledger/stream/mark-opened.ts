/**
 * Redis has taken the epoch: the sale is open as far as its memory goes. A reason that is looked at again at
 * every verification is over with it; a lasting one stays.
 *
 * $1 sale_no  $2 epoch  $3 reasons that are over
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const MARK_OPENED = {
  name: 'mark_opened',
  text: `
    UPDATE cursors SET opened_epoch = $2, updated_at = now(),
      fenced_reason = CASE WHEN fenced_reason = ANY ($3) THEN NULL ELSE fenced_reason END
    WHERE sale_no = $1 AND epoch = $2`,
};

export async function markOpened(
  db: Queryable,
  saleNo: number,
  epoch: number,
  reasonsOver: readonly string[],
): Promise<void> {
  await changes(db, MARK_OPENED, [saleNo, epoch, reasonsOver]);
}
