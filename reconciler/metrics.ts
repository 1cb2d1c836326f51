/** What the reconciler tells Prometheus. Base units, few labels. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { FAST_BUCKETS_SECONDS, type Metrics } from '../platform/metrics.ts';

/** What a follower tells of its sale. */
export type FollowState = {
  lag_entries: number;
  /** Since when the oldest entry not ingested waits (process clock, ms); undefined while none does. */
  behind_since_ms: number | undefined;
  fenced: boolean;
};

/** How long the oldest entry of all these sales has waited, ms. */
export function lagMs(followed: readonly FollowState[]): number {
  const since = followed.map((state) => state.behind_since_ms ?? Number.POSITIVE_INFINITY);
  return Math.max(0, Date.now() - Math.min(...since));
}

export type ReconcilerMetrics = ReturnType<typeof createReconcilerMetrics>;

/** `followed`: the sales that this process follows, asked whenever the metrics are read. */
export function createReconcilerMetrics(
  registry: Metrics,
  followed: () => readonly FollowState[] = () => [],
) {
  const registers = [registry];
  return {
    streamLagEntries: new Gauge({
      name: 'stampede_stream_lag_entries',
      help: 'Stream entries that the ledger has not ingested, all sales of this process together.',
      registers,
      collect() {
        this.set(followed().reduce((sum, state) => sum + state.lag_entries, 0));
      },
    }),
    streamLagSeconds: new Gauge({
      name: 'stampede_stream_lag_seconds',
      help: 'How long the oldest stream entry that the ledger has not ingested has waited.',
      registers,
      collect() {
        this.set(lagMs(followed()) / 1000);
      },
    }),
    ingestOrders: new Counter({
      name: 'stampede_ingest_orders_total',
      help: 'Orders ingested, by what they became: reserved, rejected, or replayed (the ledger had them).',
      labelNames: ['result'] as const,
      registers,
    }),
    ingestSeconds: new Histogram({
      name: 'stampede_ingest_seconds',
      help: 'Time to write one chunk of a stream into the ledger.',
      buckets: FAST_BUCKETS_SECONDS,
      registers,
    }),
    activeReservations: new Gauge({
      name: 'stampede_active_reservations',
      help: 'Orders that hold stock and are not paid.',
      registers,
    }),
    expiries: new Counter({
      name: 'stampede_expiries_total',
      help: 'Orders whose hold ended.',
      registers,
    }),
    movementsSealed: new Counter({
      name: 'stampede_movements_sealed_total',
      help: 'Movements sealed into batches for Redis.',
      registers,
    }),
    oversellPrevented: new Counter({
      name: 'stampede_oversell_prevented_total',
      help: 'Orders that Redis let in and the ledger rejected. Must be 0.',
      registers,
    }),
    auditImbalance: new Gauge({
      name: 'stampede_audit_imbalance',
      help: 'Units by which the books of the audited sales are off. Must be 0.',
      registers,
    }),
    auditViolations: new Gauge({
      name: 'stampede_audit_violations',
      help: 'Orders, SKUs and buyers of which the audit finds something wrong, by check. Must be 0.',
      labelNames: ['check'] as const,
      registers,
    }),
    auditOrders: new Counter({
      name: 'stampede_audit_orders_total',
      help: 'Orders that the audit has held against their items, history, payments and gate.',
      registers,
    }),
    fencedSales: new Gauge({
      name: 'stampede_fenced_sales',
      help: 'Sales that are kept closed until they are verified, rebuilt or passed by an operator.',
      registers,
      collect() {
        this.set(followed().filter((state) => state.fenced).length);
      },
    }),
    rebuilds: counted(
      new Counter({
        name: 'stampede_rebuilds_total',
        help: 'Attempts to rebuild a sale in Redis from the ledger, by how they ended: done, again (once more), refused (somebody has to act).',
        labelNames: ['result'] as const,
        registers,
      }),
      ['done', 'again', 'refused'],
    ),
    rebuildSeconds: new Histogram({
      name: 'stampede_rebuild_seconds',
      help: 'Time of a rebuild that was done, from its beginning until the switch.',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120],
      registers,
    }),
    positionsLost: new Counter({
      name: 'stampede_stream_positions_lost_total',
      help: 'Stream positions that neither store had any more when a sale was rebuilt. Must be 0.',
      registers,
    }),
    stuckOrders: new Gauge({
      name: 'stampede_stuck_orders',
      help: 'Orders whose payment has stood still for too long.',
      registers,
    }),
    orders: new Gauge({
      name: 'stampede_orders',
      help: 'Orders by state.',
      labelNames: ['state'] as const,
      registers,
    }),
  };
}

/** From the first sample on, so that the first time is seen as an increase. */
function counted(counter: Counter<'result'>, results: readonly string[]): Counter<'result'> {
  for (const result of results) counter.inc({ result }, 0);
  return counter;
}
