/**
 * Tells the ledger that a reconciler is there. After a silence of more than two periods the ledger counts
 * as up only since now, and every hold gets its grace.
 *
 * $1 period, ms  $2 grace, ms
 */
import { changes, type Queryable } from '../platform/postgres.ts';

const BEAT = {
  name: 'beat',
  text: `
    UPDATE heartbeat SET
      -- The first beat ever ends no outage: nobody had a hold before it.
      up_since = CASE
        WHEN beat_at = '-infinity' THEN up_since
        WHEN beat_at < clock_timestamp() - 2 * $1::bigint * interval '1 millisecond' THEN clock_timestamp()
        -- The clock was ahead, and is right again: nobody would expire until it has caught up.
        WHEN up_since > clock_timestamp() THEN clock_timestamp()
        ELSE up_since
      END,
      beat_at = clock_timestamp(), period_ms = $1, grace_ms = $2`,
};

export async function beat(db: Queryable, times: { period_ms: number; grace_ms: number }): Promise<void> {
  await changes(db, BEAT, [times.period_ms, times.grace_ms]);
}
