/** The reconciler's roles together. Several reconcilers may run: each sale and role has one active worker. */
import type { Redis } from 'ioredis';
import { DEADLINE_GRACE_MS, HEARTBEAT_PERIOD_MS } from '../domain/limits.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Pool } from '../platform/postgres.ts';
import { runAuditRole } from './audit/audit-role.ts';
import { createDeepAudit } from './audit/deep-audit.ts';
import { runExpireRole } from './expire/expire-role.ts';
import { createIngestRole } from './ingest/ingest-role.ts';
import type { EnqueueAuthorize } from './ingest/write-chunk.ts';
import { createReconcilerMetrics, lagMs } from './metrics.ts';
import { runReleaseRole } from './release/release-role.ts';
import type { SaleLocks } from './sale-locks.ts';

export type ReconcilerOptions = {
  db: Pool;
  redis: Redis;
  locks: SaleLocks;
  log: Logger;
  registry: Metrics;
  enqueueAuthorize: EnqueueAuthorize;
  /** Stream entries stay for so long even behind the cursor, ms. */
  trim_age_ms: number;
  grace_ms?: number;
  heartbeat_ms?: number;
};

export type Reconciler = {
  /** Works until the signal ends it, and the steps under way are done. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** Null when it does its work, else what is missing. */
  notReady(): string | null;
  /** Something happened to these orders: the audit looks at them soon. */
  see(orderIds: Iterable<string>): void;
  /**
   * How long the oldest stream entry of the followed sales has waited, or a wave of holds that run out has lasted, whichever
   * is more, ms.
   */
  behindMs(): number;
};

/** While ingest is so far behind the deeper checks of the audit wait, ms. */
const AUDIT_WAITS_ABOVE_MS = 150;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { db, redis, registry, grace_ms = DEADLINE_GRACE_MS, heartbeat_ms = HEARTBEAT_PERIOD_MS } = options;
  const followed = () => [...ingest.states().values()];
  const metrics = createReconcilerMetrics(registry, followed);
  const shared = { ...options, metrics, grace_ms, heartbeat_ms };
  const ingest = createIngestRole(shared);
  const deep = createDeepAudit({
    ...{ db, log: options.log, metrics },
    followed: () => ingest.states().keys(),
    behind: () => behindMs() > AUDIT_WAITS_ABOVE_MS,
  });
  let beat_at_ms = Number.NEGATIVE_INFINITY;
  let wave_since_ms: number | undefined;
  const behindMs = () =>
    Math.max(lagMs(followed()), wave_since_ms === undefined ? 0 : performance.now() - wave_since_ms);

  return {
    async run(signal) {
      await Promise.all([
        ingest.run(signal),
        runReleaseRole(shared, signal),
        runExpireRole(
          {
            ...shared,
            onBeat: () => {
              beat_at_ms = performance.now();
            },
            onWave: (under_way) => {
              wave_since_ms = under_way ? (wave_since_ms ?? performance.now()) : undefined;
            },
          },
          signal,
        ),
        runAuditRole({ ...shared, db, followed: () => ingest.states().keys(), deep }, signal),
      ]);
    },
    see: (orderIds) => deep.see(orderIds),
    behindMs,
    notReady() {
      if (redis.status !== 'ready') return 'Redis is away';
      if (performance.now() - beat_at_ms > 3 * heartbeat_ms) return 'the ledger is away';
      return null;
    },
  };
}
