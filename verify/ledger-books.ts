/**
 * The ledger's own books against each other, today. Each statement returns what is wrong, as text in `what`; $1 is the
 * sale's number. Plain SQL over the tables: no view or function of the ledger's is trusted, the state machine least of all.
 */

const GOODS = `('confirmed', 'shipped', 'delivered')`;
const BACK = `(o.state IN ('expired', 'payment_failed', 'canceled') OR (o.state = 'refunded' AND o.restock))`;
const SOLD = `(o.state IN ${GOODS} OR (o.state = 'refunded' AND NOT o.restock))`;

export const BOOKS: readonly { message: string; sql: string }[] = [
  {
    message: 'the counters of a SKU are not what its orders add up to',
    sql: `
      SELECT format('%s: %s reserved, %s sold; orders: %s, %s', k.sku, k.reserved, k.sold, coalesce(x.reserved, 0),
        coalesce(x.sold, 0)) AS what
      FROM skus k LEFT JOIN (
        SELECT i.sku, sum(i.qty) FILTER (WHERE o.state IN ('reserved', 'authorized')) AS reserved,
          sum(i.qty) FILTER (WHERE ${SOLD}) AS sold
        FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.sale_no = $1 GROUP BY i.sku
      ) x USING (sku)
      WHERE k.sale_no = $1 AND (k.reserved <> coalesce(x.reserved, 0) OR k.sold <> coalesce(x.sold, 0))`,
  },
  {
    message: 'the conservation equation does not hold',
    sql: `
      SELECT format('%s: available %s, held %s', k.sku, k.told_available, k.told_held) AS what
      FROM skus k JOIN cursors c USING (sale_no) LEFT JOIN LATERAL (
        SELECT coalesce(sum(to_available), 0) AS a, coalesce(sum(from_held), 0) AS h FROM movements m
        WHERE m.sale_no = $1 AND m.sku = k.sku AND (m.n IS NULL OR m.n > c.applied_n)
      ) w ON true
      WHERE k.sale_no = $1
        AND (k.told_available <> k.total - k.reserved - k.sold - w.a OR k.told_held <> k.reserved + w.h)`,
  },
  {
    message: 'units came in or went out that nobody asked for',
    sql: `
      SELECT format('%s: total %s; created %s, added %s (asked %s, moved %s), taken %s (asked %s)', k.sku, k.total,
        e.created, e.added, q.added, m.moved, e.taken, q.taken) AS what
      FROM skus k
      LEFT JOIN LATERAL (SELECT coalesce(sum(change) FILTER (WHERE kind = 'created'), 0) AS created,
          coalesce(sum(change) FILTER (WHERE kind = 'topup'), 0) AS added,
          coalesce(-sum(change) FILTER (WHERE kind = 'reduce'), 0) AS taken
        FROM sale_events e WHERE e.sale_no = $1 AND e.sku = k.sku) e ON true
      LEFT JOIN LATERAL (SELECT
          coalesce(sum((item ->> 'qty')::bigint) FILTER (WHERE r.kind = 'topup'), 0) AS added,
          coalesce(sum((item ->> 'qty')::bigint) FILTER (WHERE r.kind = 'reduce'), 0) AS taken
        FROM operator_requests r CROSS JOIN LATERAL jsonb_array_elements(r.answer -> 'items') AS item
        WHERE r.sale_no = $1 AND r.kind IN ('topup', 'reduce') AND item ->> 'sku' = k.sku) q ON true
      LEFT JOIN LATERAL (SELECT coalesce(sum(to_available), 0) AS moved
        FROM movements m WHERE m.sale_no = $1 AND m.sku = k.sku AND m.cause = 'topup') m ON true
      WHERE k.sale_no = $1 AND (k.total <> e.created + e.added - e.taken OR e.added <> q.added OR m.moved <> q.added
        OR e.taken > q.taken)`,
  },
  {
    message: 'an order is not where its history has led it',
    sql: `
      SELECT format('%s is %s, its last event says %s', o.id, o.state, coalesce(e.to_state, 'nothing')) AS what
      FROM orders o LEFT JOIN LATERAL (SELECT to_state FROM order_events e
        WHERE e.order_id = o.id AND e.from_state IS DISTINCT FROM e.to_state ORDER BY e.id DESC LIMIT 1) e ON true
      WHERE o.sale_no = $1 AND o.state IS DISTINCT FROM e.to_state`,
  },
  {
    message: 'its chain has not as many links as its history has events',
    sql: `
      SELECT format('%s links, %s events', c.events, x.events) AS what
      FROM event_chains c CROSS JOIN LATERAL (SELECT
          (SELECT count(*) FROM orders o JOIN order_events e ON e.order_id = o.id
            WHERE o.sale_no = $1 AND e.id <= c.last_id)
          + (SELECT count(*) FROM sale_events e WHERE e.sale_no = $1 AND e.id <= c.last_id) AS events) x
      WHERE c.sale_no = $1 AND c.events <> x.events`,
  },
  {
    message: 'an order gave back what it should not, or not what it should',
    sql: `
      SELECT format('%s, %s: %s of %s', coalesce(x.id, m.order_id), coalesce(x.sku, m.sku), coalesce(m.qty, 0),
        coalesce(x.qty, 0)) AS what
      FROM (SELECT o.id, i.sku, sum(i.qty) AS qty FROM orders o JOIN order_items i ON i.order_id = o.id
        WHERE o.sale_no = $1 AND ${BACK} GROUP BY 1, 2) x
      FULL JOIN (SELECT order_id, sku, sum(to_available) AS qty FROM movements
        WHERE sale_no = $1 AND cause = 'released' GROUP BY 1, 2 HAVING sum(to_available) > 0) m
        ON m.order_id = x.id AND m.sku = x.sku
      WHERE x.qty IS DISTINCT FROM m.qty`,
  },
  {
    message: 'a buyer has more than the limit',
    sql: `
      SELECT format('%s: %s of %s', encode(o.buyer_hash, 'hex'), sum(o.limit_units), s.limit_per_buyer) AS what
      FROM orders o JOIN sales s USING (sale_no)
      WHERE o.sale_no = $1 AND s.limit_per_buyer > 0 AND o.state <> 'rejected' AND NOT ${BACK}
      GROUP BY o.buyer_hash, s.limit_per_buyer HAVING sum(o.limit_units) > s.limit_per_buyer`,
  },
  {
    message: 'goods and money do not go together',
    sql: `
      SELECT format('%s is %s, its payments are %s', o.id, o.state, coalesce(a.states, 'none')) AS what
      FROM orders o LEFT JOIN LATERAL (SELECT string_agg(a.state, ', ') AS states,
          count(*) FILTER (WHERE a.state IN ('pending', 'unknown', 'authorized', 'captured')) AS alive,
          bool_or(a.state IN ('pending', 'unknown', 'authorized', 'captured') AND NOT a.reversal_wanted) AS kept,
          bool_or(a.amount <> o.total OR a.currency <> o.currency) AS wrong
        FROM attempts a WHERE a.order_id = o.id) a ON true
      WHERE o.sale_no = $1 AND (a.alive > 1 OR a.wrong OR (o.state IN ${GOODS} AND o.total > 0 AND a.alive = 0)
        OR (a.kept AND o.state NOT IN ('reserved', 'authorized', 'confirmed', 'shipped', 'delivered')))`,
  },
];
