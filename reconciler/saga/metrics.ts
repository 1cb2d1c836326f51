/** What the saga counts. Labels are few: provider, step, outcome. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { SLOW_BUCKETS_SECONDS } from '../../platform/metrics.ts';

export type SagaMetrics = {
  steps: Counter<'step' | 'outcome'>;
  seconds: Histogram<'provider' | 'step'>;
  reversals: Counter<'outcome'>;
  anomalies: Counter<'what'>;
  deadLetters: Gauge;
};

export function createSagaMetrics(registry: Registry): SagaMetrics {
  const registers = [registry];
  return {
    steps: new Counter({
      name: 'stampede_saga_steps_total',
      help: 'Calls to payment providers by step and outcome',
      labelNames: ['step', 'outcome'],
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
  };
}
