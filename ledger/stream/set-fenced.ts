/**
 * Writes down why a sale is closed. A lasting reason is not replaced; only another lasting one says more
 * than one that is looked at again. Who has looked under an epoch that is over says nothing of the sale as it is.
 *
 * $1 sale_no  $2 reason  $3 reasons it may replace  $4 the epoch under which it was found
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const SET_FENCED = {
  name: 'set_fenced',
  text: `
    UPDATE cursors SET fenced_reason = $2, updated_at = now()
    WHERE sale_no = $1 AND epoch = $4
      AND (fenced_reason IS NULL OR (fenced_reason <> $2 AND fenced_reason = ANY ($3)))`,
};

/** True if the reason is news. */
export async function setFenced(
  db: Queryable,
  saleNo: number,
  found: { reason: string; epoch: number },
  mayReplace: readonly string[],
): Promise<boolean> {
  return (await changes(db, SET_FENCED, [saleNo, found.reason, mayReplace, found.epoch])) === 1;
}
