/** What merchants' webhooks tell Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { SLOW_BUCKETS_SECONDS } from '../../../platform/metrics.ts';

export type WebhookMetrics = ReturnType<typeof createWebhookMetrics>;

/** Seconds, up to the days that a delivery may take. */
const LATENCY_BUCKETS_SECONDS = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 3_600, 21_600, 86_400, 259_200,
];

export function createWebhookMetrics(registry: Registry) {
  const registers = [registry];
  const metrics = {
    deliveries: new Counter({
      name: 'stampede_webhook_deliveries_total',
      help: 'Tries to deliver a webhook, by outcome: delivered, retried (comes again), given_up.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    latencySeconds: new Histogram({
      name: 'stampede_webhook_latency_seconds',
      help: 'From the moment a webhook was wanted until it was delivered.',
      buckets: LATENCY_BUCKETS_SECONDS,
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'stampede_webhook_request_seconds',
      help: "Time until a merchant's endpoint answered, or was given up.",
      buckets: SLOW_BUCKETS_SECONDS,
      registers,
    }),
    refused: new Counter({
      name: 'stampede_webhook_targets_refused_total',
      help: 'Tries that were not made because the target is not a public one.',
      registers,
    }),
    oldestSeconds: new Gauge({
      name: 'stampede_webhook_oldest_undelivered_seconds',
      help: 'How long the oldest webhook that is not delivered has waited.',
      registers,
    }),
    endpoints: new Gauge({
      name: 'stampede_webhook_endpoints',
      help: "Merchants' endpoints: working, failing (the last try failed), disabled.",
      labelNames: ['state'] as const,
      registers,
    }),
    disabled: new Counter({
      name: 'stampede_webhook_endpoints_disabled_total',
      help: 'Endpoints disabled by us: gone (410) or failing for too long.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
  // A count that starts at its first event shows no increase for it.
  for (const outcome of ['delivered', 'retried', 'given_up']) metrics.deliveries.inc({ outcome }, 0);
  for (const reason of ['gone', 'failing']) metrics.disabled.inc({ reason }, 0);
  return metrics;
}
