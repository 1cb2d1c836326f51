/** What notices tell Prometheus. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { CHANNELS } from '../../ledger/notices/insert-notices.ts';
import { SLOW_BUCKETS_SECONDS } from '../../platform/metrics.ts';

export type NoticeMetrics = ReturnType<typeof createNoticeMetrics>;

export function createNoticeMetrics(registry: Registry) {
  const registers = [registry];
  const metrics = {
    /**
     * `sent`: the server took it. `retried`: it is tried again. `failed`: refused for good, or patience ended.
     * `skipped`: not to be sent. `again`: a sender ended in the midst of it, so it may arrive twice.
     */
    notices: new Counter({
      name: 'stampede_notices_total',
      help: 'Notices to buyers by channel and what became of a try.',
      labelNames: ['channel', 'outcome'] as const,
      registers,
    }),
    waiting: new Gauge({
      name: 'stampede_notices_waiting',
      help: 'Notices that are to be sent, by channel.',
      labelNames: ['channel'] as const,
      registers,
    }),
    oldestSeconds: new Gauge({
      name: 'stampede_notice_oldest_waiting_seconds',
      help: 'How long the oldest notice has waited that no server has asked to send later, by channel.',
      labelNames: ['channel'] as const,
      registers,
    }),
    sendSeconds: new Histogram({
      name: 'stampede_notice_send_seconds',
      help: 'Time that a mail server or text provider took for one notice, by channel.',
      labelNames: ['channel'] as const,
      buckets: SLOW_BUCKETS_SECONDS,
      registers,
    }),
  };
  for (const channel of CHANNELS) {
    metrics.waiting.set({ channel }, 0);
    metrics.oldestSeconds.set({ channel }, 0);
    for (const outcome of ['sent', 'retried', 'failed', 'skipped', 'again']) {
      metrics.notices.inc({ channel, outcome }, 0);
    }
  }
  return metrics;
}
