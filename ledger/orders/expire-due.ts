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
      SELECT held.id, held.place
      FROM cursors c, LATERAL (
        SELECT o.id, o.ctid AS place FROM orders o
        WHERE o.sale_no = c.sale_no AND o.held
          AND o.expires_at <= (SELECT expiry_horizon())
        ORDER BY o.expires_at LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
      ) AS held
    ), expired AS (
      UPDATE orders o SET state = 'expired', cause = 'deadline', actor = 'reconciler', updated_at = now()
      -- By the rows' places, which stand as long as they are locked.
      WHERE o.ctid = ANY (ARRAY(SELECT place FROM due))
      RETURNING o.id, o.sale_no, o.buyer_hash, o.road
    ), waiting AS MATERIALIZED (
      -- Looked up by the orders' ids: asked for order by order, every attempt there is would be read.
      SELECT a.order_id,
        bool_or(a.state = 'unknown' OR coalesce(a.next_action ->> 'type', 'wait') = 'wait') AS for_provider,
        bool_or(a.state = 'pending' AND a.next_action ->> 'type' <> 'wait') AS for_buyer
      FROM attempts a
      WHERE a.order_id = ANY (ARRAY(SELECT id FROM due)) AND a.state IN ('pending', 'unknown')
      GROUP BY a.order_id
    ), counted AS (
      INSERT INTO expired_holds AS h (sale_no, buyer_hash, holds)
      SELECT o.sale_no, o.buyer_hash, count(*) FROM expired o
      WHERE CASE o.road
        WHEN 'lock' THEN o.id NOT IN (SELECT order_id FROM waiting WHERE for_provider)
        ELSE o.id IN (SELECT order_id FROM waiting WHERE for_buyer)
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
