/**
 * Who wants to be told of which events, and the deliveries made from them.
 *
 * FAN_OUT: columns of one row an event: $1 ids  $2 order ids  $3 tenants  $4 types
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';
import type { EventRow } from './read-events.ts';

const SUBSCRIBED = {
  name: 'webhook_subscribed',
  text: `
    SELECT array_agg(DISTINCT tenant) AS tenants,
      (SELECT array_agg(DISTINCT type) FROM webhook_endpoints e, unnest(e.types) AS type
        WHERE e.enabled AND e.deleted_at IS NULL) AS types,
      bool_or(types = '{}') AS every_type
    FROM webhook_endpoints WHERE enabled AND deleted_at IS NULL`,
};

// A replay may have made one already.
const FAN_OUT = {
  name: 'webhook_fan_out',
  text: `
    INSERT INTO webhook_deliveries (endpoint_id, event_id, order_id, type)
    SELECT p.id, e.id, e.order_id, e.type
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS e (id, order_id, tenant, type)
    JOIN webhook_endpoints p ON p.tenant = e.tenant AND p.enabled AND p.deleted_at IS NULL
      AND (p.types = '{}' OR e.type = ANY (p.types))
    ORDER BY e.id, p.id
    ON CONFLICT (endpoint_id, event_id) DO NOTHING`,
};

const WAKE = { name: 'webhook_wake', text: `SELECT pg_notify('stampede_webhooks', '')` };

/** Tenants that have an endpoint, and the types that any of them takes; undefined if nobody has one. */
export async function subscribed(
  db: Queryable,
): Promise<{ tenants: string[]; types: string[] | undefined } | undefined> {
  const [found] = await rows<{ tenants: string[] | null; types: string[] | null; every_type: boolean }>(
    db,
    SUBSCRIBED,
  );
  if (!found.tenants) return undefined;
  return { tenants: found.tenants, types: found.every_type ? undefined : (found.types ?? []) };
}

/** Returns how many deliveries were made. */
export async function fanOut(tx: Queryable, events: readonly EventRow[]): Promise<number> {
  const made = await changes(tx, FAN_OUT, [
    events.map((event) => event.id),
    events.map((event) => event.order_id),
    events.map((event) => event.tenant),
    events.map((event) => event.type),
  ]);
  if (made > 0) await wakeWebhooks(tx);
  return made;
}

/** Whoever sends hears of it when the transaction commits. */
export async function wakeWebhooks(db: Queryable): Promise<void> {
  await rows(db, WAKE);
}
