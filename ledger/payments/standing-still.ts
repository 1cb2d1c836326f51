/**
 * What stands still, for the metrics.
 *
 * ATTEMPTS, REFUNDS: $1 ms without a change   INBOX: what waits for an order of ours or for a settled look
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

// Waits for its buyer to confirm it, or for a parcel: nobody's fault.
const ATTEMPTS = {
  name: 'attempts_standing_still',
  text: `
    SELECT CASE WHEN a.reversal_wanted THEN 'reversal' ELSE a.state END AS state, count(*) AS attempts
    FROM attempts a JOIN orders o ON o.id = a.order_id
    WHERE a.unfinished
      AND a.next_look_at <= now() + interval '1 hour'
      AND a.created_at < now() - $1 * interval '1 millisecond'
      AND NOT (a.state = 'authorized' AND o.state = 'authorized' AND NOT a.reversal_wanted)
    GROUP BY 1`,
};

const REFUNDS = {
  name: 'refunds_standing_still',
  text: `
    SELECT count(*) AS refunds FROM refunds
    WHERE state = 'wanted' AND created_at < now() - $1 * interval '1 millisecond'`,
};

const INBOX = {
  name: 'oldest_psp_event',
  text: `
    SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 AS age_s
    FROM psp_events WHERE settled_at IS NULL`,
};

/** How many attempts have stood still for `still_ms`, by what they wait for. */
export async function attemptsStandingStill(db: Queryable, still_ms: number): Promise<Map<string, number>> {
  const found = await rows<{ state: string; attempts: number }>(db, ATTEMPTS, [still_ms]);
  return new Map(found.map(({ state, attempts }) => [state, attempts]));
}

export async function refundsStandingStill(db: Queryable, still_ms: number): Promise<number> {
  return (await rows<{ refunds: number }>(db, REFUNDS, [still_ms]))[0].refunds;
}

/** How long the oldest webhook that is not settled has waited, s; 0 when none waits. */
export async function oldestWebhookSeconds(db: Queryable): Promise<number> {
  return (await rows<{ age_s: number }>(db, INBOX))[0].age_s;
}
