/** What the engine tells Prometheus. Children are resolved once: a request only adds to numbers. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { FAST_BUCKETS_SECONDS, type Metrics, SIZE_BUCKETS } from '../platform/metrics.ts';
import type { BatchObserver } from './checkout/batcher.ts';
import type { Endpoint } from './endpoint.ts';
import type { CheckoutObserver } from './handlers/checkout.ts';

export type EngineMetrics = {
  /** Requests of one route, by status. */
  observer(route_id: string): Endpoint['observe'];
  checkout: CheckoutObserver;
  batches: BatchObserver;
  rateLimited(what: 'buyer' | 'address' | 'holds' | 'connections' | 'requests'): void;
};

export type MetricsSources = {
  watchers(): number;
  ledgerAvailable(): boolean;
  batchFailed(error: unknown): void;
  connections(): number;
  shedding(): boolean;
};

export function createEngineMetrics(registry: Metrics, sources: MetricsSources): EngineMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'stampede_http_requests_total',
    help: 'Answers, by route and status.',
    labelNames: ['route', 'status'] as const,
    registers,
  });
  const seconds = new Histogram({
    name: 'stampede_http_seconds',
    help: 'From the head of a request to its answer.',
    labelNames: ['route'] as const,
    buckets: FAST_BUCKETS_SECONDS,
    registers,
  });
  const checkouts = new Counter({
    name: 'stampede_checkout_total',
    help: 'Requests for stock that passed validation, by outcome.',
    labelNames: ['outcome'] as const,
    registers,
  });
  const reserveSeconds = new Histogram({
    name: 'stampede_reserve_seconds',
    help: 'From a validated request for stock to its outcome.',
    buckets: FAST_BUCKETS_SECONDS,
    registers,
  });
  const batchSize = new Histogram({
    name: 'stampede_batch_size',
    help: 'Requests that one script call carried.',
    buckets: SIZE_BUCKETS,
    registers,
  });
  const redisSeconds = new Histogram({
    name: 'stampede_redis_seconds',
    help: 'Round trip of one batch to Redis.',
    buckets: FAST_BUCKETS_SECONDS,
    registers,
  });
  const batchFailures = new Counter({
    name: 'stampede_batch_failures_total',
    help: 'Batches that the script refused with an error; they took nothing.',
    registers,
  });
  const limited = new Counter({
    name: 'stampede_rate_limited_total',
    help: 'Requests over a limit, by whose.',
    labelNames: ['limit'] as const,
    registers,
  });
  let pending = 0;
  gauge('stampede_pending_reservations', 'Requests for stock that wait for their batch.', () => pending);
  gauge('stampede_live_watchers', 'WebSockets that watch a sale.', sources.watchers);
  gauge('stampede_connections', 'Connections that are open.', sources.connections);
  gauge('stampede_shedding', '1 while more comes in than can be answered, and some are refused.', () =>
    sources.shedding() ? 1 : 0,
  );
  gauge('stampede_ledger_available', '0 while the breaker holds questions to the ledger back.', () =>
    sources.ledgerAvailable() ? 1 : 0,
  );

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }

  const outcomes = new Map<string, { inc(): void }>();
  return {
    observer(route) {
      const time = seconds.labels(route);
      const byStatus = new Map<number, { inc(): void }>();
      return (status, taken) => {
        let counter = byStatus.get(status);
        if (!counter) {
          counter = requests.labels(route, String(status));
          byStatus.set(status, counter);
        }
        counter.inc();
        time.observe(taken);
      };
    },
    checkout(outcome, taken) {
      let counter = outcomes.get(outcome);
      if (!counter) {
        counter = checkouts.labels(outcome);
        outcomes.set(outcome, counter);
      }
      counter.inc();
      reserveSeconds.observe(taken);
    },
    batches: {
      batch(size, round_trip) {
        batchSize.observe(size);
        redisSeconds.observe(round_trip);
      },
      pending(count) {
        pending = count;
      },
      failed(error) {
        batchFailures.inc();
        sources.batchFailed(error);
      },
    },
    rateLimited: (what) => limited.labels(what).inc(),
  };
}
