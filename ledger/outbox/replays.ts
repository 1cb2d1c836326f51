/**
 * Replays: what has happened since some time is delivered again. Asked for by one row, worked off in steps.
 *
 * ASK: $1 tenant  $2 endpoint  $3 since  $4 until or null for now  $5 types
 * OPEN
 * BEGIN: $1 replay
 * STEP: $1 replay  $2 ids looked at
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';
import { wakeWebhooks } from './fan-out.ts';

// What the sink has not come to yet is delivered by itself.
const ASK = {
  name: 'webhook_ask_replay',
  text: `
    INSERT INTO webhook_replays (endpoint_id, since, until, types, upto)
    SELECT p.id, $3, coalesce($4, now()), $5, c.position
    FROM webhook_endpoints p, outbox_cursors c
    WHERE p.tenant = $1 AND p.id = $2 AND p.enabled AND p.deleted_at IS NULL AND c.sink = 'webhooks'
    RETURNING id`,
};

const OPEN = {
  name: 'webhook_open_replay',
  text: 'SELECT id, position FROM webhook_replays WHERE done_at IS NULL ORDER BY id LIMIT 1',
};

// OFFSET 0: by the index on times, not along all ids from the first.
const BEGIN = {
  name: 'webhook_begin_replay',
  text: `
    UPDATE webhook_replays r SET position = coalesce(
      (SELECT min(e.id) - 1 FROM (
        SELECT id FROM order_events WHERE at >= r.since AND at < r.until OFFSET 0
      ) AS e), r.upto)
    WHERE r.id = $1 AND r.position IS NULL`,
};

// One that waits is tried now. One that is over begins anew, under its old name: who has it, knows it.
const STEP = {
  name: 'webhook_step_replay',
  text: `
    WITH replay AS MATERIALIZED (
      SELECT r.*, least(r.upto, r.position + $2) AS step_to, p.tenant, p.types AS taken, p.enabled AND p.deleted_at IS NULL AS alive
      FROM webhook_replays r JOIN webhook_endpoints p ON p.id = r.endpoint_id
      WHERE r.id = $1 AND r.done_at IS NULL FOR NO KEY UPDATE OF r
    ), looked AS MATERIALIZED (
      SELECT e.id, e.order_id, e.at, order_event_type(e.from_state, e.to_state, e.cause) AS type
      FROM replay r CROSS JOIN LATERAL (
        SELECT * FROM order_events WHERE id > r.position AND id <= r.step_to AND r.alive OFFSET 0
      ) AS e
    ), again AS (
      INSERT INTO webhook_deliveries AS d (endpoint_id, event_id, order_id, type)
      SELECT r.endpoint_id, l.id, l.order_id, l.type
      FROM replay r, looked l CROSS JOIN LATERAL (
        SELECT tenant FROM orders WHERE id = l.order_id OFFSET 0
      ) AS o
      WHERE l.at >= r.since AND l.at < r.until AND o.tenant = r.tenant
        AND (r.taken = '{}' OR l.type = ANY (r.taken)) AND (r.types = '{}' OR l.type = ANY (r.types))
      ORDER BY l.id
      ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'waiting', next_try_at = now(), finished_at = NULL,
        tries = CASE WHEN d.state = 'waiting' THEN d.tries ELSE 0 END,
        wanted_at = CASE WHEN d.state = 'waiting' THEN d.wanted_at ELSE now() END
      WHERE NOT d.sending
      RETURNING 1
    )
    UPDATE webhook_replays r SET
      position = replay.step_to,
      queued = r.queued + (SELECT count(*) FROM again),
      done_at = CASE
        WHEN replay.step_to >= r.upto OR NOT replay.alive
          OR (SELECT min(at) FROM looked) > r.until + interval '1 hour' THEN now() END
    FROM replay WHERE r.id = replay.id
    RETURNING r.done_at IS NOT NULL AS done, r.endpoint_id, r.queued`,
};

export type ReplayRequest = { since: Date; until?: Date; types: readonly string[] };

/** The replay's number, or undefined if there is no such endpoint, or not an enabled one. */
export async function askReplay(
  db: Queryable,
  tenant: string,
  endpoint_id: string,
  request: ReplayRequest,
): Promise<number | undefined> {
  const { since, until = null, types } = request;
  const [asked] = await rows<{ id: number }>(db, ASK, [tenant, endpoint_id, since, until, types]);
  if (asked) await wakeWebhooks(db);
  return asked?.id;
}

/** Works on the oldest replay that is open. Undefined if there is none. */
export async function stepReplay(
  db: Queryable,
  ids: number,
): Promise<{ id: number; done: boolean; endpoint_id: string; queued: number } | undefined> {
  const [open] = await rows<{ id: number; position: number | null }>(db, OPEN);
  if (!open) return undefined;
  if (open.position === null) await changes(db, BEGIN, [open.id]);
  const [step] = await rows<{ done: boolean; endpoint_id: string; queued: number }>(db, STEP, [open.id, ids]);
  // Somebody else may have ended it meanwhile.
  return step ? { id: open.id, ...step } : undefined;
}
