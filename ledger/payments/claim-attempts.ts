/**
 * Attempts whose time to be looked at has come, whatever any queue thinks: an outcome to learn, a capture
 * to make, money to give back. Each is claimed for a while, so two sweeps take different ones.
 *
 * $1 how many at most   $2 for how long they are claimed, ms
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow } from './attempt-row.ts';

const CLAIM_ATTEMPTS = {
  name: 'claim_attempts',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM attempts
      WHERE next_look_at <= now()
        AND (state IN ('pending', 'unknown', 'authorized') OR (state = 'captured' AND reversal_wanted))
      ORDER BY next_look_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    ), claimed AS (
      UPDATE attempts a SET next_look_at = now() + $2 * interval '1 millisecond'
      FROM due WHERE a.id = due.id
      RETURNING a.*
    )
    SELECT ${ATTEMPT_COLUMNS} FROM claimed a JOIN orders o ON o.id = a.order_id`,
};

export function claimAttempts(
  db: Queryable,
  options: { limit: number; lease_ms: number },
): Promise<AttemptRow[]> {
  return rows(db, CLAIM_ATTEMPTS, [options.limit, options.lease_ms]);
}
