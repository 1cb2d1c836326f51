/**
 * Orders one by one against everything that says something about them: their items, their history, their payments and the
 * gate at the position where they were let in. One statement is one snapshot, so what is under way meanwhile is seen
 * whole or not at all.
 *
 * - `amounts`: the items add up to the order's price.
 * - `events`: the history leads without a gap from the first state to the present one.
 * - `money`: at most one payment is alive, of the order's amount; goods are paid for, and shipped ones captured; where an
 *   order ended without goods, its money is wanted back.
 * - `authorizations`: none is left hanging past the time in which it could have been captured.
 * - `gate`: it was reserved while the gate was open.
 *
 * ORDERS: $1 order ids  $2 grace for a capture, ms   PAGE: $1 sale_no  $2, $3 behind this position and id  $4 how many
 */
import { type Queryable, rows } from '../platform/postgres.ts';

export const ORDER_CHECKS = ['amounts', 'events', 'money', 'authorizations', 'gate'] as const;
export type OrderCheck = (typeof ORDER_CHECKS)[number];

const AUDIT_ORDERS_BY_ID = {
  name: 'audit_orders_by_id',
  text: `
    SELECT o.id AS order_id, o.sale_no, c.checks
    FROM orders o JOIN sales s USING (sale_no)
    CROSS JOIN LATERAL (
      SELECT sum(i.qty * i.unit_price) AS subtotal FROM order_items i WHERE i.order_id = o.id
    ) AS items
    CROSS JOIN LATERAL (
      SELECT bool_or(from_state IS DISTINCT FROM was) AS broken, (array_agg(to_state ORDER BY id DESC))[1] AS last
      FROM (
        SELECT id, from_state, to_state, lag(to_state) OVER (ORDER BY id) AS was
        FROM order_events e WHERE e.order_id = o.id AND from_state IS DISTINCT FROM to_state
      ) AS moves
    ) AS history
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE a.live) AS alive,
        coalesce(bool_or(a.live AND NOT a.reversal_wanted), false) AS kept,
        coalesce(bool_or(a.amount <> o.total OR a.currency <> o.currency), false) AS wrong,
        coalesce(bool_or(a.state = 'captured'), false) AS captured,
        coalesce(bool_or(a.state = 'authorized' AND a.capture_by < now() - $2 * interval '1 millisecond'), false) AS hanging
      FROM attempts a WHERE a.order_id = o.id
    ) AS paid
    LEFT JOIN LATERAL (
      SELECT gate FROM sale_events g WHERE g.sale_no = o.sale_no AND g.kind = 'gate' AND g.seq < o.seq
      ORDER BY g.seq DESC LIMIT 1
    ) AS met ON true
    CROSS JOIN LATERAL (
      SELECT array_remove(ARRAY[
        CASE WHEN items.subtotal IS DISTINCT FROM o.subtotal THEN 'amounts' END,
        CASE WHEN history.broken IS NOT FALSE OR history.last IS DISTINCT FROM o.state THEN 'events' END,
        CASE WHEN paid.alive > 1 OR paid.wrong
          OR (o.total > 0 AND o.state IN ('confirmed', 'shipped', 'delivered') AND paid.alive = 0)
          OR (o.total > 0 AND o.state IN ('shipped', 'delivered') AND NOT paid.captured)
          OR (paid.kept AND o.state IN ('expired', 'payment_failed', 'canceled', 'refunded', 'rejected'))
          THEN 'money' END,
        CASE WHEN paid.hanging THEN 'authorizations' END,
        CASE WHEN met.gate IN ('paused', 'closed') OR o.reserved_at >= s.closes_at
          OR (met.gate = 'scheduled' AND (s.opens_at IS NULL OR o.reserved_at < s.opens_at)) THEN 'gate' END
      ], NULL) AS checks
    ) AS c
    WHERE o.id = ANY ($1::text[]) AND cardinality(c.checks) > 0`,
};

const ORDERS_PAGE = {
  name: 'audit_orders_page',
  text: `
    SELECT id, seq FROM orders WHERE sale_no = $1 AND (seq, id) > ($2::bigint, $3::text COLLATE "C")
    ORDER BY seq, id LIMIT $4`,
};

export type OrderViolation = { order_id: string; sale_no: number; checks: OrderCheck[] };

/** Only those with something wrong. `capture_grace_ms`: how long past its time an authorization may still stand. */
export function auditOrdersById(
  db: Queryable,
  orderIds: readonly string[],
  capture_grace_ms: number,
): Promise<OrderViolation[]> {
  return rows(db, AUDIT_ORDERS_BY_ID, [orderIds, capture_grace_ms]);
}

export type OrderPlace = { seq: number; id: string };
export const BEFORE_ALL: OrderPlace = { seq: -1, id: '' };

/** A sale's orders as they came. */
export function ordersPage(
  db: Queryable,
  saleNo: number,
  after: OrderPlace,
  limit: number,
): Promise<OrderPlace[]> {
  return rows(db, ORDERS_PAGE, [saleNo, after.seq, after.id, limit]);
}
