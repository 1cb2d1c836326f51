/**
 * reserved | authorized -> expired for holds that are over, a chunk at a time. Rows that somebody else is
 * deciding right now are left to them. Stock, limits and money follow by the table's trigger.
 *
 * $1 how many of each sale at most
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const EXPIRE_DUE = {
  name: 'expire_due',
  text: `
    WITH due AS MATERIALIZED (
      SELECT held.id
      FROM cursors c, LATERAL (
        SELECT o.id FROM orders o
        WHERE o.sale_no = c.sale_no AND o.held
          AND o.expires_at <= (SELECT expiry_horizon())
        ORDER BY o.expires_at LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
      ) AS held
    )
    UPDATE orders o SET state = 'expired', cause = 'deadline', actor = 'reconciler', updated_at = now()
    FROM due WHERE o.id = due.id
    RETURNING o.id`,
};

/** Returns the ids of the orders that expired. */
export async function expireDue(db: Queryable, options: { limit: number }): Promise<string[]> {
  return (await rows<{ id: string }>(db, EXPIRE_DUE, [options.limit])).map((row) => row.id);
}
