/**
 * Calls to providers: at most so many at once for each provider, counted and timed, and none begun after the time
 * for which the caller owns the work. A worker that was stopped and resumed must not ask for money on what it read
 * before: somebody else has the work by then.
 */

import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { idempotencyKey, type LookUp, type Outcome, type Psp, type Step } from '../../payments/port.ts';
import type { Providers } from '../../payments/providers.ts';
import type { SagaMetrics } from './metrics.ts';

/** A payment is created by `authorize`. */
type ChargingStep = Exclude<Step, 'create'>;

export type Calls = {
  look(attempt: AttemptRow, until_ms: number): Promise<LookUp>;
  /** `amount`: for capture and refund, minor units. */
  step(step: ChargingStep, attempt: AttemptRow, until_ms: number, amount?: number): Promise<Outcome>;
};

const NOT_CALLED = { kind: 'unknown', reason: 'not_called' } as const;

/** `until_ms` is a time of performance.now(), which no clock setting moves. */
export function createCalls(providers: Providers, metrics: SagaMetrics, concurrency: number): Calls {
  const gates = new Map<string, Gate>();

  async function call<T extends { kind: string }>(
    attempt: AttemptRow,
    step: ChargingStep | 'look_up',
    until_ms: number,
    run: (psp: Psp) => Promise<T>,
  ): Promise<T | typeof NOT_CALLED> {
    const psp = providers.byName(attempt.psp);
    if (!psp) return { ...NOT_CALLED };
    const gate = gates.get(psp.name) ?? createGate(concurrency);
    gates.set(psp.name, gate);
    await gate.enter();
    try {
      if (performance.now() > until_ms) return NOT_CALLED;
      const end = metrics.seconds.startTimer({ provider: psp.name, step });
      const result = await run(psp);
      end();
      metrics.steps.inc({ provider: psp.name, step, outcome: result.kind });
      return result;
    } finally {
      gate.leave();
    }
  }

  return {
    look: (attempt, until_ms) =>
      call(attempt, 'look_up', until_ms, (psp) =>
        psp.lookUp({ reference: attempt.id, psp_ref: attempt.psp_ref }),
      ),
    step: (step, attempt, until_ms, amount = attempt.amount) =>
      call(attempt, step, until_ms, (psp) => {
        const request = {
          reference: attempt.id,
          psp_ref: attempt.psp_ref,
          idempotency_key: idempotencyKey(attempt.id, step),
          amount,
          currency: attempt.currency,
        };
        if (step !== 'authorize') return psp[step](request);
        const { order_id, token, expires_at } = attempt;
        const type = attempt.method_type as 'card' | 'upi' | 'wallet';
        return psp.authorize({
          ...request,
          order_id,
          payment_method: { type, token },
          expires_at,
          return_url: '',
        });
      }),
  };
}

type Gate = { enter(): Promise<void>; leave(): void };

/** First come, first served. */
function createGate(places: number): Gate {
  let free = places;
  const waiting: (() => void)[] = [];
  return {
    enter() {
      if (free > 0) {
        free -= 1;
        return Promise.resolve();
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
