/**
 * Ends holds whose time is over, and tells the ledger that somebody does: the heartbeat. Any number of
 * reconcilers do both; rows that another one has are skipped.
 */
import { beat } from '../../ledger/heartbeat.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { runLoop } from '../loop.ts';
import type { ReconcilerMetrics } from '../metrics.ts';
import { stepErrors } from '../step-errors.ts';

/** Orders of one sale that one statement ends. */
const EXPIRE_MAX = 1_000;

export type ExpireOptions = {
  db: Pool;
  log: Logger;
  metrics: Pick<ReconcilerMetrics, 'expiries'>;
  heartbeat_ms: number;
  grace_ms: number;
  onBeat: () => void;
  /** After each look: were there as many as one statement ends, or more? */
  onWave?: (under_way: boolean) => void;
};

export async function runExpireRole(options: ExpireOptions, signal: AbortSignal): Promise<void> {
  const { db, log, metrics, heartbeat_ms, grace_ms, onBeat, onWave } = options;
  await Promise.all([
    runLoop({
      step: async () => {
        await beat(db, { period_ms: heartbeat_ms, grace_ms });
        onBeat();
        return 'slow';
      },
      slow_ms: heartbeat_ms,
      signal,
      onError: stepErrors(log, 'heartbeat'),
    }),
    runLoop({
      step: async () => {
        const expired = await expireDue(db, { limit: EXPIRE_MAX });
        metrics.expiries.inc(expired.length);
        onWave?.(expired.length >= EXPIRE_MAX);
        return expired.length > 0 ? 'more' : 'idle';
      },
      signal,
      onError: stepErrors(log, 'expire'),
    }),
  ]);
}
