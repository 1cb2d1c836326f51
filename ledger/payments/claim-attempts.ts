/**
 * Attempts whose time to be looked at has come, whatever any queue thinks: an outcome to learn, a capture
 * to make, money to give back. Each is claimed for a while, so two sweeps take different ones. One that waits for its
 * parcel is looked at again only when its authorization is about to lapse.
 *
 * $1 how many at most   $2 for how long they are claimed, ms
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow, CAPTURE_AHEAD } from './attempt-row.ts';

const CLAIM_ATTEMPTS = {
  name: 'claim_attempts',
  text: `
    WITH due AS MATERIALIZED (
      SELECT a.id, CASE WHEN a.state = 'authorized' AND NOT a.reversal_wanted AND o.state = 'confirmed'
          AND s.capture = 'on_shipment' AND NOT EXISTS (SELECT FROM shipments p WHERE p.order_id = o.id)
        THEN a.capture_by - ${CAPTURE_AHEAD} END AS rests_until
      FROM attempts a JOIN orders o ON o.id = a.order_id JOIN sales s ON s.sale_no = o.sale_no
      WHERE a.next_look_at <= now()
        AND a.unfinished
      ORDER BY a.next_look_at LIMIT $1 FOR NO KEY UPDATE OF a SKIP LOCKED
    ), claimed AS (
      UPDATE attempts a
      SET next_look_at = greatest(now() + $2 * interval '1 millisecond', due.rests_until)
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
