/** What the saga counts. Labels are few: provider, step, outcome. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { SLOW_BUCKETS_SECONDS } from '../../platform/metrics.ts';

export type SagaMetrics = {
  /** Calls: success of an authorization is `approved` of step `authorize`, of a capture that of `capture`. */
  steps: Counter<'provider' | 'step' | 'outcome'>;
  seconds: Histogram<'provider' | 'step'>;
  reversals: Counter<'outcome'>;
  refunds: Counter<'outcome'>;
  anomalies: Counter<'what'>;
  deadLetters: Gauge;
  stuckAttempts: Gauge<'state'>;
  webhookAge: Gauge;
};

/** What an attempt that stands still waits for. */
export const STUCK_STATES = ['pending', 'unknown', 'authorized', 'reversal', 'refund'] as const;

export function createSagaMetrics(registry: Registry): SagaMetrics {
  const registers = [registry];
  const metrics: SagaMetrics = {
    steps: new Counter({
      name: 'stampede_saga_steps_total',
      help: 'Calls to payment providers by provider, step and outcome',
      labelNames: ['provider', 'step', 'outcome'],
      registers,
    }),
    seconds: new Histogram({
      name: 'stampede_psp_seconds',
      help: 'Time until a payment provider answered, or was given up',
      labelNames: ['provider', 'step'],
      buckets: SLOW_BUCKETS_SECONDS,
      registers,
    }),
    reversals: new Counter({
      name: 'stampede_reversals_total',
      help: 'Payments that had to go back and that the provider reads as gone, by how',
      labelNames: ['outcome'],
      registers,
    }),
    refunds: new Counter({
      name: 'stampede_refunds_total',
      help: 'Partial refunds by operators that came to their end: done, or refused by the provider',
      labelNames: ['outcome'],
      registers,
    }),
    anomalies: new Counter({
      name: 'stampede_payment_anomalies_total',
      help: 'Payments that are not what the ledger asked for; must be 0',
      labelNames: ['what'],
      registers,
    }),
    deadLetters: new Gauge({
      name: 'stampede_dead_letters',
      help: 'Payment jobs that used up their tries and that nobody has looked at',
      registers,
    }),
    stuckAttempts: new Gauge({
      name: 'stampede_stuck_attempts',
      help: 'Payments that have stood still for more than two minutes, by what they wait for',
      labelNames: ['state'],
      registers,
    }),
    webhookAge: new Gauge({
      name: 'stampede_webhook_age_seconds',
      help: 'How long the oldest webhook of a provider has waited in the inbox',
      registers,
    }),
  };
  for (const outcome of ['voided', 'refunded']) metrics.reversals.inc({ outcome }, 0);
  for (const outcome of ['done', 'refused']) metrics.refunds.inc({ outcome }, 0);
  for (const state of STUCK_STATES) metrics.stuckAttempts.set({ state }, 0);
  return metrics;
}
