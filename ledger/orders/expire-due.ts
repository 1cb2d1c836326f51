/**
 * reserved | authorized -> expired for holds that are over, a chunk at a time. Rows that somebody else is
 * deciding right now are left to them. Stock, limits and money follow by the table's trigger. Where it was the
 * buyer's turn, the hold is counted against the buyer (paused-buyers.ts): not where a provider owed an answer.
 *
 * $1 how many of each sale at most  $2 ms after which earlier holds don't count any more
 */
import { EXPIRED_HOLDS_PAUSE_MS } from '../../domain/limits.ts';
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
    ), expired AS (
      UPDATE orders o SET state = 'expired', cause = 'deadline', actor = 'reconciler', updated_at = now()
      FROM due WHERE o.id = due.id
      RETURNING o.id, o.sale_no, o.buyer_hash, o.road
    ), counted AS (
      INSERT INTO expired_holds AS h (sale_no, buyer_hash, holds)
      SELECT o.sale_no, o.buyer_hash, count(*) FROM expired o
      WHERE CASE o.road
        WHEN 'lock' THEN NOT EXISTS (
          SELECT FROM attempts a WHERE a.order_id = o.id AND (a.state = 'unknown'
            OR a.state = 'pending' AND coalesce(a.next_action ->> 'type', 'wait') = 'wait')
        )
        ELSE EXISTS (
          SELECT FROM attempts a
          WHERE a.order_id = o.id AND a.state = 'pending' AND a.next_action ->> 'type' <> 'wait'
        )
      END
      GROUP BY o.sale_no, o.buyer_hash
      ORDER BY o.sale_no, o.buyer_hash
      ON CONFLICT (sale_no, buyer_hash) DO UPDATE SET
        holds = excluded.holds + CASE
          WHEN h.last_at > now() - $2 * interval '1 millisecond' THEN h.holds ELSE 0
        END,
        last_at = now()
    )
    SELECT id FROM expired`,
};

/** Returns the ids of the orders that expired. */
export async function expireDue(db: Queryable, options: { limit: number }): Promise<string[]> {
  return (await rows<{ id: string }>(db, EXPIRE_DUE, [options.limit, EXPIRED_HOLDS_PAUSE_MS])).map(
    (row) => row.id,
  );
}
