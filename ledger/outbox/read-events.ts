/**
 * Events for a sink, in the order of their ids.
 *
 * READ: $1 behind this id  $2 up to this id  $3 types, null for all  $4 tenants, null for all  $5 how many at most
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

// OFFSET 0: events by their ids first, then each one's order. Joined freely, a planner that believes in few orders walks
// along all of them.
const READ_EVENTS = {
  name: 'outbox_read_events',
  text: `
    SELECT e.id, e.order_id, o.tenant, s.id AS sale, e.type, e.at, e.from_state, e.to_state, e.cause, e.actor, e.detail
    FROM (
      SELECT *, order_event_type(from_state, to_state, cause) AS type FROM order_events
      WHERE id > $1 AND id <= $2
        AND ($3::text[] IS NULL OR order_event_type(from_state, to_state, cause) = ANY ($3))
      ORDER BY id LIMIT CASE WHEN $4::text[] IS NULL THEN $5::bigint END OFFSET 0
    ) AS e
    CROSS JOIN LATERAL (SELECT tenant, sale_no FROM orders WHERE id = e.order_id OFFSET 0) AS o
    CROSS JOIN LATERAL (SELECT id FROM sales WHERE sale_no = o.sale_no OFFSET 0) AS s
    WHERE $4::text[] IS NULL OR o.tenant = ANY ($4)
    ORDER BY e.id LIMIT $5::bigint`,
};

/** One row of the orders' history (order_events), with whose it is. */
export type EventRow = {
  /** Grows; per order it is the order in which things happened. Others know it as `evt_<id>`. */
  id: number;
  order_id: string;
  tenant: string;
  /** The sale's id, as its tenant knows it. */
  sale: string;
  /** `order.<state>`, `payment.captured|declined|voided|refunded|partially_refunded`, `shipment.recorded`. */
  type: string;
  at: Date;
  /** Null for an order's first. Equal to `to_state` where the event left the state alone. */
  from_state: string | null;
  to_state: string;
  cause: string;
  actor: string;
  /** {"amount", "currency"} of money that moved, {"code"} of a refusal, or null. */
  detail: Readonly<Record<string, unknown>> | null;
};

export type EventRange = {
  after: number;
  upto: number;
  types?: readonly string[];
  tenants?: readonly string[];
  limit: number;
};

export function readEvents(db: Queryable, range: EventRange): Promise<EventRow[]> {
  const { after, upto, types = null, tenants = null, limit } = range;
  return rows(db, READ_EVENTS, [after, upto, types, tenants, limit]);
}
