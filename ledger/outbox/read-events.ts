/**
 * Events for a sink, in the order of their ids.
 *
 * READ: $1 behind this id  $2 up to this id  $3 types, null for all  $4 tenants, null for all  $5 how many at most
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const READ_EVENTS = {
  name: 'outbox_read_events',
  text: `
    SELECT e.id, e.order_id, o.tenant, s.id AS sale, order_event_type(e.from_state, e.to_state, e.cause) AS type,
      e.at, e.from_state, e.to_state, e.cause, e.actor, e.detail
    FROM order_events e
    JOIN orders o ON o.id = e.order_id
    JOIN sales s ON s.sale_no = o.sale_no
    WHERE e.id > $1 AND e.id <= $2
      AND ($3::text[] IS NULL OR order_event_type(e.from_state, e.to_state, e.cause) = ANY ($3))
      AND ($4::text[] IS NULL OR o.tenant = ANY ($4))
    ORDER BY e.id LIMIT $5`,
};

export type EventRow = {
  id: number;
  order_id: string;
  tenant: string;
  sale: string;
  type: string;
  at: Date;
  from_state: string | null;
  to_state: string;
  cause: string;
  actor: string;
  detail: Record<string, unknown> | null;
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
