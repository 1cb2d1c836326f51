/**
 * Calls to providers: at most so many at once for each provider, counted and timed, and none begun after the time
 * for which the caller owns the work. A worker that was stopped and resumed must not ask for money on what it read
 * before: somebody else has the work by then.
 */

import type { Counter, Histogram } from 'prom-client';
import type { PaymentMethod } from '../../domain/types.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import {
  type AuthorizeRequest,
  type Created,
  idempotencyKey,
  type LookUp,
  type Outcome,
  type Psp,
  type Step,
} from '../../payments/port.ts';
import type { Providers } from '../../payments/providers.ts';
import type { SagaMetrics } from './metrics.ts';

export type StepCall = {
  step: Exclude<Step, 'create'>;
  key_no: number;
  /** For refund, minor units; else the attempt's amount. */
  amount?: number;
  /** Of an operator's partial refund. */
  refund_id?: string;
};

export type Calls = {
  /** The provider of an attempt; undefined if it is not configured here (any more). */
  pspOf(attempt: AttemptRow): Psp | undefined;
  look(attempt: AttemptRow, until_ms: number): Promise<LookUp>;
  create(attempt: AttemptRow, until_ms: number, key_no: number): Promise<Created>;
  step(attempt: AttemptRow, until_ms: number, call: StepCall): Promise<Outcome>;
};

export type CallsOptions = {
  /** At once, for each provider. */
  concurrency: number;
  /** Where a provider's page leads the buyer of an order afterwards. */
  return_url: (order_id: string) => string;
};

export const NOT_CALLED = { kind: 'unknown', reason: 'not_called' } as const;
export const NOT_CONFIGURED = { kind: 'unknown', reason: 'not_configured' } as const;

/** `until_ms` is a time of performance.now(), which no clock setting moves. */
export function createCalls(providers: Providers, metrics: SagaMetrics, options: CallsOptions): Calls {
  const gates = new Map<string, Gate>();
  /** Children are resolved once: labels cost more than counting. */
  const steps = new Map<string, Counter.Internal>();
  const seconds = new Map<string, Histogram.Internal<'provider' | 'step'>>();

  function count(provider: string, step: string, outcome: string, seconds_taken: number): void {
    const call = `${provider} ${step}`;
    const timed = seconds.get(call) ?? metrics.seconds.labels({ provider, step });
    seconds.set(call, timed);
    timed.observe(seconds_taken);
    const counted = steps.get(`${call} ${outcome}`) ?? metrics.steps.labels({ provider, step, outcome });
    steps.set(`${call} ${outcome}`, counted);
    counted.inc();
  }

  async function call<T extends { kind: string }>(
    attempt: AttemptRow,
    step: Step | 'look_up',
    until_ms: number,
    run: (psp: Psp) => Promise<T>,
  ): Promise<T | typeof NOT_CALLED | typeof NOT_CONFIGURED> {
    const psp = providers.byName(attempt.psp);
    if (!psp) return NOT_CONFIGURED;
    let gate = gates.get(psp.name);
    if (!gate) {
      gate = createGate(options.concurrency);
      gates.set(psp.name, gate);
    }
    const wait = gate.enter();
    if (wait) await wait;
    try {
      if (performance.now() > until_ms) return NOT_CALLED;
      const begun_ms = performance.now();
      const result = await run(psp);
      count(psp.name, step, result.kind, (performance.now() - begun_ms) / 1_000);
      return result;
    } finally {
      gate.leave();
    }
  }

  function requestOf(attempt: AttemptRow, idempotency_key: string): AuthorizeRequest {
    const { order_id, token, expires_at, amount, currency, psp_ref, contact } = attempt;
    return {
      ...{ reference: attempt.id, psp_ref, order_id, idempotency_key, amount, currency },
      payment_method: { type: attempt.method_type as PaymentMethod['type'], token },
      expires_at,
      return_url: options.return_url(order_id),
      ...(contact ? { contact } : {}),
    };
  }

  return {
    pspOf: (attempt) => providers.byName(attempt.psp),
    look: (attempt, until_ms) =>
      call(attempt, 'look_up', until_ms, (psp) =>
        psp.lookUp({ reference: attempt.id, psp_ref: attempt.psp_ref }),
      ),
    create: (attempt, until_ms, key_no) =>
      call(attempt, 'create', until_ms, (psp) => {
        if (!psp.create) throw new Error(`${psp.name} has no step create`);
        return psp.create(requestOf(attempt, idempotencyKey(attempt.id, 'create', key_no)));
      }),
    step: (attempt, until_ms, { step, key_no, refund_id, amount = attempt.amount }) =>
      call(attempt, step, until_ms, (psp) => {
        const idempotency_key = idempotencyKey(attempt.id, step, key_no, refund_id);
        if (step === 'authorize') return psp.authorize(requestOf(attempt, idempotency_key));
        const { psp_ref, currency } = attempt;
        return psp[step]({ reference: attempt.id, psp_ref, idempotency_key, amount, currency });
      }),
  };
}

/** `enter` returns undefined where there is a place at once. */
type Gate = { enter(): Promise<void> | undefined; leave(): void };

/** First come, first served. */
function createGate(places: number): Gate {
  let free = places;
  const waiting: (() => void)[] = [];
  return {
    enter() {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    leave() {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    },
  };
}
