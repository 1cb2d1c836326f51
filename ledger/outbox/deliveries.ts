/**
 * Deliveries on their way: claimed by whoever sends, and what became of each try.
 *
 * SENDABLE: $1 endpoints that have no room
 * CLAIM: $1 endpoint  $2 how many at most  $3 for how long they are claimed, ms
 * DELIVERED: $1 delivery  $2 tries when claimed  $3 status (wakes the order's next event)
 * FAILED: $1 delivery  $2 tries when claimed  $3 status or null  $4 error  $5 ms until the next try, null: there is none
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const SENDABLE = {
  name: 'webhook_sendable',
  text: `
    SELECT p.id, p.url, p.failures, p.secret_version,
      p.previous_until IS NOT NULL AND p.previous_until > now() AS previous_counts
    FROM webhook_endpoints p
    WHERE p.enabled AND p.deleted_at IS NULL AND (p.held_until IS NULL OR p.held_until <= now())
      AND p.id <> ALL ($1::text[])
      AND EXISTS (SELECT FROM webhook_deliveries d
        WHERE d.endpoint_id = p.id AND d.state = 'waiting' AND d.next_try_at <= now())`,
};

// An order's later event waits for the earlier one: it is put off until that one is tried again, or for a moment while
// that one is being sent. Whoever ends the earlier one wakes it sooner.
const CLAIM = {
  name: 'webhook_claim',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id, order_id, event_id, next_try_at FROM webhook_deliveries
      WHERE endpoint_id = $1 AND state = 'waiting' AND next_try_at <= now()
      ORDER BY next_try_at, id LIMIT 8 * $2::bigint
    ), judged AS MATERIALIZED (
      SELECT due.id, due.next_try_at, earlier.id AS earlier_id,
        CASE WHEN earlier.sending THEN now() + interval '5 seconds' ELSE earlier.next_try_at END AS put_off_to
      FROM due LEFT JOIN LATERAL (
        SELECT d.id, d.sending, d.next_try_at FROM webhook_deliveries d
        WHERE d.endpoint_id = $1 AND d.order_id = due.order_id AND d.state = 'waiting' AND d.event_id < due.event_id
        ORDER BY d.event_id LIMIT 1
      ) AS earlier ON true
    ), put_off AS (
      UPDATE webhook_deliveries d SET next_try_at = greatest(j.put_off_to, now() + interval '10 milliseconds')
      -- Unless it was woken since.
      FROM judged j WHERE d.id = j.id AND j.earlier_id IS NOT NULL AND d.next_try_at = j.next_try_at
    ), chosen AS MATERIALIZED (
      SELECT id FROM judged WHERE earlier_id IS NULL ORDER BY next_try_at, id LIMIT $2
    ), claimed AS (
      UPDATE webhook_deliveries d SET sending = true, tries = d.tries + 1, tried_at = now(),
        next_try_at = now() + $3::bigint * interval '1 millisecond'
      FROM chosen WHERE d.id = chosen.id AND d.state = 'waiting' AND d.next_try_at <= now()
      RETURNING d.id, d.endpoint_id, d.event_id, d.order_id, d.type, d.tries, d.wanted_at
    )
    SELECT c.id, c.endpoint_id, c.event_id, c.order_id, c.type, c.tries, c.wanted_at, e.at, e.from_state,
      e.to_state AS state, e.cause, e.detail, s.id AS sale, h.carrier, h.tracking_number, h.tracking_url, o.currency, o.subtotal, o.discount, o.shipping, o.tax,
      o.total, items.items
    FROM claimed c
    LEFT JOIN order_events e ON e.id = c.event_id
    LEFT JOIN orders o ON o.id = c.order_id
    LEFT JOIN sales s ON s.sale_no = o.sale_no
    LEFT JOIN shipments h ON h.order_id = c.order_id AND c.type IN ('shipment.recorded', 'order.shipped')
    LEFT JOIN LATERAL (
      SELECT json_agg(json_build_object('sku', i.sku, 'qty', i.qty, 'unit_price', i.unit_price) ORDER BY i.line)
        AS items
      FROM order_items i WHERE i.order_id = c.order_id
    ) AS items ON true
    ORDER BY c.id`,
};

/** The order's next event, which was put off until `done` is over. */
const WAKE_NEXT = `
  UPDATE webhook_deliveries d SET next_try_at = now()
  FROM done CROSS JOIN LATERAL (
    SELECT id FROM webhook_deliveries
    WHERE endpoint_id = done.endpoint_id AND order_id = done.order_id AND state = 'waiting'
      AND event_id > done.event_id
    ORDER BY event_id LIMIT 1
  ) AS next
  WHERE d.id = next.id AND NOT d.sending AND d.tries = 0`;

const DELIVERED = {
  name: 'webhook_delivered',
  text: `
    WITH done AS (
      UPDATE webhook_deliveries SET state = 'delivered', sending = false, last_status = $3, last_error = NULL,
        finished_at = now()
      WHERE id = $1 AND tries = $2 AND state = 'waiting'
      RETURNING endpoint_id, order_id, event_id
    ), woken AS (${WAKE_NEXT})
    SELECT FROM done`,
};

const FAILED = {
  name: 'webhook_failed',
  text: `
    WITH failed AS (
      UPDATE webhook_deliveries SET sending = false, last_status = $3, last_error = $4,
        state = CASE WHEN $5::bigint IS NULL THEN 'given_up' ELSE state END,
        finished_at = CASE WHEN $5::bigint IS NULL THEN now() END,
        next_try_at = CASE WHEN $5::bigint IS NULL THEN next_try_at
          ELSE now() + $5::bigint * interval '1 millisecond' END
      WHERE id = $1 AND tries = $2 AND state = 'waiting'
      RETURNING endpoint_id, order_id, event_id, state
    ), done AS (SELECT * FROM failed WHERE state = 'given_up'), woken AS (${WAKE_NEXT})
    SELECT FROM failed`,
};

export type SendableEndpoint = {
  id: string;
  url: string;
  /** Tries that failed since one last succeeded. */
  failures: number;
  secret_version: number;
  /** The version before signs as well. */
  previous_counts: boolean;
};

export type ClaimedDelivery = {
  id: number;
  endpoint_id: string;
  type: string;
  /** This one counted. */
  tries: number;
  wanted_at: Date;
} & (OrderEvent | { event_id: null; order_id: null });

export type OrderEvent = {
  event_id: number;
  order_id: string;
  sale: string;
  at: Date;
  from_state: string | null;
  state: string;
  cause: string;
  detail: Record<string, unknown> | null;
  carrier: string | null;
  tracking_number: string | null;
  tracking_url: string | null;
  currency: string;
  subtotal: number;
  discount: number;
  shipping: number;
  tax: number;
  total: number;
  items: { sku: string; qty: number; unit_price: number }[];
};

/** Endpoints for which something is due, without those named. */
export function sendableEndpoints(db: Queryable, full: readonly string[]): Promise<SendableEndpoint[]> {
  return rows(db, SENDABLE, [full]);
}

/** What is due for an endpoint, at most one for an order. They are the caller's until the lease ends. */
export function claimDeliveries(
  db: Queryable,
  endpoint_id: string,
  options: { limit: number; lease_ms: number },
): Promise<ClaimedDelivery[]> {
  return rows(db, CLAIM, [endpoint_id, options.limit, options.lease_ms]);
}

/** False if the claim was lost meanwhile: somebody else tells what became of it. */
export async function recordDelivered(
  db: Queryable,
  delivery: ClaimedDelivery,
  status: number,
): Promise<boolean> {
  return (await rows(db, DELIVERED, [delivery.id, delivery.tries, status])).length === 1;
}

/** `again_ms` null: it is given up. False if the claim was lost meanwhile. */
export async function recordFailed(
  db: Queryable,
  delivery: ClaimedDelivery,
  failure: { status: number | null; error: string; again_ms: number | null },
): Promise<boolean> {
  const { status, error, again_ms } = failure;
  const values = [delivery.id, delivery.tries, status, error, again_ms];
  return (await rows(db, FAILED, values)).length === 1;
}
