/**
 * How an endpoint does. One that keeps failing is held back: asked by one try now and then instead of by everything
 * that waits for it. One that failed for very long, or says that it is gone, is disabled.
 *
 * SUCCEEDED: $1 endpoint
 * FAILED: $1 endpoint  $2 failures in a row that hold it back  $3, $4 first and longest hold, ms  $5 hold it at least, ms
 *   $6 disabled after failing for so long, ms
 * GONE: $1 endpoint
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';

const SUCCEEDED = {
  name: 'webhook_endpoint_succeeded',
  text: `
    UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, held_until = NULL
    WHERE id = $1 AND failures > 0`,
};

const FAILED = {
  name: 'webhook_endpoint_failed',
  text: `
    WITH failed AS MATERIALIZED (
      SELECT id, failures + 1 AS failures, coalesce(failing_since, now()) AS failing_since,
        greatest($5::float8, CASE WHEN failures + 1 < $2::integer THEN 0
          ELSE least($4::float8, $3::float8 * 2.0 ^ least(failures + 1 - $2::integer, 30)) END) AS hold_ms
      FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE
    )
    UPDATE webhook_endpoints p SET
      failures = f.failures,
      failing_since = f.failing_since,
      held_until = CASE WHEN f.hold_ms > 0
        THEN greatest(p.held_until, now() + f.hold_ms * interval '1 millisecond') ELSE p.held_until END,
      enabled = p.enabled AND NOT over.is,
      disabled_reason = CASE WHEN p.enabled AND over.is THEN 'failing' ELSE p.disabled_reason END,
      disabled_at = CASE WHEN p.enabled AND over.is THEN now() ELSE p.disabled_at END
    FROM failed f, LATERAL (SELECT f.failing_since < now() - $6::bigint * interval '1 millisecond' AS is) AS over
    WHERE p.id = f.id
    RETURNING over.is AND p.disabled_at = now() AS disabled`,
};

const GONE = {
  name: 'webhook_endpoint_gone',
  text: `
    UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'gone', disabled_at = now()
    WHERE id = $1 AND enabled`,
};

export async function endpointSucceeded(db: Queryable, id: string): Promise<void> {
  await changes(db, SUCCEEDED, [id]);
}

export type FailurePolicy = {
  hold_after: number;
  hold_ms: number;
  hold_ms_max: number;
  disable_after_ms: number;
};

/** True if it was disabled by this failure. */
export async function endpointFailed(
  db: Queryable,
  id: string,
  policy: FailurePolicy,
  hold_at_least_ms: number,
): Promise<boolean> {
  const { hold_after, hold_ms, hold_ms_max, disable_after_ms } = policy;
  const values = [id, hold_after, hold_ms, hold_ms_max, hold_at_least_ms, disable_after_ms];
  return (await rows<{ disabled: boolean }>(db, FAILED, values))[0]?.disabled ?? false;
}

/** True if it was enabled until now. */
export async function endpointGone(db: Queryable, id: string): Promise<boolean> {
  return (await changes(db, GONE, [id])) === 1;
}
