/**
 * Endpoints of merchants' webhooks. Those that were deleted are unknown to everything here; nobody sees another
 * tenant's.
 *
 * INSERT: $1 id  $2 tenant  $3 url  $4 description  $5 types  $6 how many a tenant may have
 * LIST: $1 tenant      FIND: $1 tenant  $2 id
 * CHANGE: $1 tenant  $2 id  $3 url or null  $4 types or null  $5 enabled or null  $6 set the description?  $7 description
 * DELETE: $1 tenant  $2 id
 * ROTATE: $1 tenant  $2 id  $3 for how long the secret before counts, ms
 * RECENT: $1 id  $2 how many
 * LIST_ALL: $1 tenant or null for every one
 * ADD_TEST: $1 tenant  $2 id  $3 type
 */
import { changes, type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { wakeWebhooks } from './fan-out.ts';

const COLUMNS = `id, url, description, types, enabled, disabled_reason, disabled_at, secret_version, previous_until,
  failures, failing_since, created_at, updated_at`;

// Two that come at once wait for each other: the bound holds.
const LOCK_TENANT = {
  name: 'webhook_lock_tenant',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('stampede webhooks of ' || $1, 0))`,
};

const INSERT = {
  name: 'webhook_insert_endpoint',
  text: `
    INSERT INTO webhook_endpoints (id, tenant, url, description, types)
    SELECT $1, $2, $3, $4, $5
    WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant = $2 AND deleted_at IS NULL) < $6
    RETURNING ${COLUMNS}`,
};

const LIST = {
  name: 'webhook_list_endpoints',
  text: `SELECT ${COLUMNS} FROM webhook_endpoints WHERE tenant = $1 AND deleted_at IS NULL ORDER BY created_at, id`,
};

const FIND = {
  name: 'webhook_find_endpoint',
  text: `SELECT ${COLUMNS} FROM webhook_endpoints WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL`,
};

// A new URL, or one that is wanted again, begins without a past.
const CHANGE = {
  name: 'webhook_change_endpoint',
  text: `
    UPDATE webhook_endpoints SET
      url = coalesce($3, url),
      types = coalesce($4, types),
      description = CASE WHEN $6 THEN $7 ELSE description END,
      enabled = coalesce($5, enabled),
      disabled_reason = CASE WHEN coalesce($5, enabled) THEN NULL ELSE coalesce(disabled_reason, 'merchant') END,
      disabled_at = CASE WHEN coalesce($5, enabled) THEN NULL ELSE coalesce(disabled_at, now()) END,
      failures = CASE WHEN $3 IS NOT NULL OR $5 THEN 0 ELSE failures END,
      failing_since = CASE WHEN $3 IS NOT NULL OR $5 THEN NULL ELSE failing_since END,
      held_until = CASE WHEN $3 IS NOT NULL OR $5 THEN NULL ELSE held_until END,
      updated_at = now()
    WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL
    RETURNING ${COLUMNS}`,
};

const DELETE = {
  name: 'webhook_delete_endpoint',
  text: `
    UPDATE webhook_endpoints SET deleted_at = now(), enabled = false, updated_at = now(),
      disabled_reason = coalesce(disabled_reason, 'merchant'), disabled_at = coalesce(disabled_at, now())
    WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL`,
};

const ROTATE = {
  name: 'webhook_rotate_secret',
  text: `
    UPDATE webhook_endpoints SET secret_version = secret_version + 1, updated_at = now(),
      previous_until = now() + $3::bigint * interval '1 millisecond'
    WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL
    RETURNING ${COLUMNS}`,
};

const RECENT = {
  name: 'webhook_recent_deliveries',
  text: `
    SELECT id, event_id, order_id, type, state, tries, last_status, last_error, wanted_at, tried_at, finished_at,
      CASE WHEN state = 'waiting' THEN next_try_at END AS next_try_at
    FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY id DESC LIMIT $2`,
};

const LIST_ALL = {
  name: 'webhook_list_all',
  text: `
    SELECT p.tenant, ${COLUMNS},
      (SELECT count(*) FROM webhook_deliveries d WHERE d.endpoint_id = p.id AND d.state = 'waiting') AS waiting
    FROM webhook_endpoints p WHERE deleted_at IS NULL AND ($1::text IS NULL OR tenant = $1)
    ORDER BY tenant, created_at, id`,
};

const ADD_TEST = {
  name: 'webhook_add_test',
  text: `
    INSERT INTO webhook_deliveries (endpoint_id, type)
    SELECT id, $3 FROM webhook_endpoints WHERE tenant = $1 AND id = $2 AND enabled AND deleted_at IS NULL
    RETURNING id`,
};

export type EndpointRow = {
  id: string;
  url: string;
  description: string | null;
  /** None: every type. */
  types: string[];
  enabled: boolean;
  disabled_reason: 'merchant' | 'gone' | 'failing' | null;
  disabled_at: Date | null;
  secret_version: number;
  previous_until: Date | null;
  failures: number;
  failing_since: Date | null;
  created_at: Date;
  updated_at: Date;
};

export type DeliveryRow = {
  id: number;
  event_id: number | null;
  order_id: string | null;
  type: string;
  state: 'waiting' | 'delivered' | 'given_up';
  tries: number;
  last_status: number | null;
  last_error: string | null;
  wanted_at: Date;
  tried_at: Date | null;
  finished_at: Date | null;
  next_try_at: Date | null;
};

export type NewEndpoint = {
  id: string;
  tenant: string;
  url: string;
  description: string | null;
  types: readonly string[];
};

/** Undefined: the tenant has as many as it may. */
export function insertEndpoint(
  db: Pool,
  endpoint: NewEndpoint,
  endpoints_max: number,
): Promise<EndpointRow | undefined> {
  const { id, tenant, url, description, types } = endpoint;
  return withTransaction(db, async (tx) => {
    await rows(tx, LOCK_TENANT, [tenant]);
    const values = [id, tenant, url, description, types, endpoints_max];
    return (await rows<EndpointRow>(tx, INSERT, values))[0];
  });
}

export function listEndpoints(db: Queryable, tenant: string): Promise<EndpointRow[]> {
  return rows(db, LIST, [tenant]);
}

export async function findEndpoint(
  db: Queryable,
  tenant: string,
  id: string,
): Promise<EndpointRow | undefined> {
  return (await rows<EndpointRow>(db, FIND, [tenant, id]))[0];
}

export type EndpointChange = {
  url?: string;
  types?: readonly string[];
  enabled?: boolean;
  description?: string | null;
};

export async function changeEndpoint(
  db: Queryable,
  tenant: string,
  id: string,
  change: EndpointChange,
): Promise<EndpointRow | undefined> {
  const { url = null, types = null, enabled = null, description } = change;
  const values = [tenant, id, url, types, enabled, description !== undefined, description ?? null];
  const [changed] = await rows<EndpointRow>(db, CHANGE, values);
  if (changed?.enabled) await wakeWebhooks(db);
  return changed;
}

export async function deleteEndpoint(db: Queryable, tenant: string, id: string): Promise<boolean> {
  return (await changes(db, DELETE, [tenant, id])) === 1;
}

export async function rotateSecret(
  db: Queryable,
  tenant: string,
  id: string,
  grace_ms: number,
): Promise<EndpointRow | undefined> {
  return (await rows<EndpointRow>(db, ROTATE, [tenant, id, grace_ms]))[0];
}

/** For operators: of a tenant, or of all, with how much waits for each. */
export function listAllEndpoints(
  db: Queryable,
  tenant?: string,
): Promise<(EndpointRow & { tenant: string; waiting: number })[]> {
  return rows(db, LIST_ALL, [tenant ?? null]);
}

/** The newest first. */
export function recentDeliveries(db: Queryable, endpoint_id: string, limit: number): Promise<DeliveryRow[]> {
  return rows(db, RECENT, [endpoint_id, limit]);
}

/** The delivery's id, or undefined if there is no such endpoint, or not an enabled one. */
export async function addTest(
  db: Queryable,
  tenant: string,
  id: string,
  type: string,
): Promise<number | undefined> {
  const [added] = await rows<{ id: number }>(db, ADD_TEST, [tenant, id, type]);
  if (added) await wakeWebhooks(db);
  return added?.id;
}
