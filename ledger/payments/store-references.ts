/**
 * The providers' names of payments that were made and not yet confirmed, in bulk: stored before anything is charged.
 * Refused where the attempt is no longer open, its money is wanted back, its order may no longer be paid, or another
 * name is stored: then nobody may confirm that payment.
 *
 * Columns of one row an attempt: $1 attempt ids  $2 references
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const STORE_REFERENCES = {
  name: 'store_references',
  text: `
    WITH made AS MATERIALIZED (
      SELECT a.id, made.psp_ref
      FROM unnest($1::uuid[], $2::text[]) AS made (id, psp_ref)
      JOIN attempts a ON a.id = made.id
      JOIN orders o ON o.id = a.order_id
      WHERE o.state = 'reserved' AND o.expires_at > (SELECT expiry_horizon())
      ORDER BY o.id FOR NO KEY UPDATE OF o
    )
    UPDATE attempts a SET psp_ref = made.psp_ref, updated_at = now()
    FROM made
    WHERE a.id = made.id AND a.state IN ('pending', 'unknown') AND NOT a.reversal_wanted
      AND coalesce(a.psp_ref, made.psp_ref) = made.psp_ref
    RETURNING a.id`,
};

/** Returns the ids of the attempts whose payment may be confirmed. No attempt may be in it twice. */
export async function storeReferences(
  db: Queryable,
  made: readonly { id: string; psp_ref: string }[],
): Promise<Set<string>> {
  const stored = await rows<{ id: string }>(db, STORE_REFERENCES, [
    made.map(({ id }) => id),
    made.map(({ psp_ref }) => psp_ref),
  ]);
  return new Set(stored.map(({ id }) => id));
}
