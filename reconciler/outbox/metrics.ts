/** What the outbox tells Prometheus. */
import { Counter, Gauge, type Registry } from 'prom-client';

export type OutboxMetrics = ReturnType<typeof createOutboxMetrics>;

export function createOutboxMetrics(registry: Registry) {
  const registers = [registry];
  return {
    events: new Counter({
      name: 'stampede_outbox_events_total',
      help: 'Events of orders handed to a sink.',
      labelNames: ['sink'] as const,
      registers,
    }),
    failures: new Counter({
      name: 'stampede_outbox_failures_total',
      help: 'Batches of events that a sink did not take; they come again.',
      labelNames: ['sink'] as const,
      registers,
    }),
    lagEvents: new Gauge({
      name: 'stampede_outbox_lag_events',
      help: 'Events of orders that a sink has not been handed.',
      labelNames: ['sink'] as const,
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'stampede_outbox_lag_seconds',
      help: 'How old the first event is that a sink has not been handed.',
      labelNames: ['sink'] as const,
      registers,
    }),
  };
}
