/**
 * Deliveries that nobody will need again go, in steps that are short however many there are; and what is to be seen
 * of all of them.
 *
 * GIVE_UP: $1 how many at most
 * FORGET: $1 days  $2 how many at most
 * FORGET_DELETED, FORGET_REPLAYS: $1 how many at most (FORGET_REPLAYS: $2 days)
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';

const GIVE_UP = {
  name: 'webhook_give_up_disabled',
  text: `
    UPDATE webhook_deliveries d SET state = 'given_up', sending = false, finished_at = now(),
      last_error = 'the endpoint is disabled'
    FROM (
      SELECT w.id FROM webhook_endpoints p CROSS JOIN LATERAL (
        SELECT id FROM webhook_deliveries
        WHERE endpoint_id = p.id AND state = 'waiting' AND (NOT sending OR next_try_at <= now())
        ORDER BY next_try_at LIMIT $1
      ) AS w
      WHERE NOT p.enabled LIMIT $1
    ) AS disabled
    WHERE d.id = disabled.id AND d.state = 'waiting'`,
};

const FORGET = {
  name: 'webhook_forget_finished',
  text: `
    DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
      SELECT id FROM webhook_deliveries
      WHERE state <> 'waiting' AND finished_at < now() - $1::bigint * interval '1 day'
      ORDER BY finished_at LIMIT $2))`,
};

const FORGET_DELETED = {
  name: 'webhook_forget_deleted',
  text: `
    DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
      SELECT d.id FROM webhook_endpoints p CROSS JOIN LATERAL (
        SELECT id FROM webhook_deliveries
        WHERE endpoint_id = p.id AND (NOT sending OR next_try_at <= now()) ORDER BY id LIMIT $1
      ) AS d
      WHERE p.deleted_at IS NOT NULL LIMIT $1))`,
};

const FORGET_REPLAYS = {
  name: 'webhook_forget_replays',
  text: `
    DELETE FROM webhook_replays WHERE id = ANY (ARRAY(
      SELECT r.id FROM webhook_replays r JOIN webhook_endpoints p ON p.id = r.endpoint_id
      WHERE p.deleted_at IS NOT NULL OR r.done_at < now() - $2::bigint * interval '1 day'
      ORDER BY r.id LIMIT $1))`,
};

const FORGET_ENDPOINTS = {
  name: 'webhook_forget_endpoints',
  text: `
    DELETE FROM webhook_endpoints p WHERE p.deleted_at < now() - interval '1 minute'
      AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE endpoint_id = p.id)
      AND NOT EXISTS (SELECT FROM webhook_replays WHERE endpoint_id = p.id)`,
};

const OVERVIEW = {
  name: 'webhook_overview',
  text: `
    SELECT
      coalesce((SELECT extract(epoch FROM clock_timestamp() - wanted_at)::float8 FROM webhook_deliveries
        WHERE state = 'waiting' ORDER BY wanted_at LIMIT 1), 0) AS oldest_seconds,
      (SELECT count(*) FROM webhook_endpoints WHERE enabled AND failing_since IS NULL) AS working,
      (SELECT count(*) FROM webhook_endpoints WHERE enabled AND failing_since IS NOT NULL) AS failing,
      (SELECT count(*) FROM webhook_endpoints WHERE NOT enabled AND deleted_at IS NULL) AS disabled`,
};

/** Ends what waits for endpoints that are disabled. Returns how many deliveries. */
export function giveUpDisabled(db: Queryable, limit: number): Promise<number> {
  return changes(db, GIVE_UP, [limit]);
}

/** Removes what is older than that, and what belongs to deleted endpoints. Returns how many deliveries. */
export async function forgetDeliveries(db: Queryable, keep_days: number, limit: number): Promise<number> {
  const finished = await changes(db, FORGET, [keep_days, limit]);
  const deleted = await changes(db, FORGET_DELETED, [limit]);
  await changes(db, FORGET_REPLAYS, [limit, keep_days]);
  if (deleted === 0) await changes(db, FORGET_ENDPOINTS);
  return finished + deleted;
}

export type WebhookOverview = {
  /** Since when the oldest delivery waits. */
  oldest_seconds: number;
  working: number;
  failing: number;
  disabled: number;
};

export async function webhookOverview(db: Queryable): Promise<WebhookOverview> {
  return (await rows<WebhookOverview>(db, OVERVIEW))[0];
}
