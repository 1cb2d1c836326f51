/**
 * The simulated provider behind the product's port (payments/port.ts): calls over a network that loses and delays. Given up
 * after CALL_TIMEOUT_MS; what was sent may still arrive, up to LATE_MS_MAX after it was sent.
 */
import type { Outcome, Payment, Psp, StepRequest } from '../../../payments/port.ts';
import type { Providers } from '../../../payments/providers.ts';
import type { Random } from '../core/random.ts';
import type { Process, Scheduler } from '../core/scheduler.ts';
import type { Weather } from '../core/wire.ts';
import { type Answer, CAPABILITIES, type Provider, type Request } from './provider.ts';

export const CALL_TIMEOUT_MS = 3_000;
export const LATE_MS_MAX = 5_000;

export type AdapterOptions = {
  scheduler: Scheduler;
  random: Random;
  process: Process;
  provider: Provider;
  weather: () => Weather;
  up: () => boolean;
  note?: (what: string) => void;
};

type Lost = { kind: 'lost'; reason: string };

export function createSimProviders(options: AdapterOptions): Providers {
  const { scheduler, random, process, provider, weather } = options;

  function call(request: Request): Promise<Answer | Lost> {
    const { lost_request, lost_reply, slow } = weather();
    const note = (what: string) => options.note?.(`${process.name} psp ${request.step}: ${what}`);
    return new Promise((resolve) => {
      const give_up = scheduler.after(CALL_TIMEOUT_MS, process, () =>
        resolve({ kind: 'lost', reason: 'timeout' }),
      );
      const told = (answer: Answer | Lost, after_ms: number) =>
        scheduler.after(after_ms, process, () => {
          give_up.canceled = true;
          resolve(answer);
        });
      if (!options.up()) {
        told({ kind: 'lost', reason: 'connect' }, random.delay_ms(1, 100));
        return;
      }
      if (random.chance(lost_request)) return note('request lost');
      const late = random.chance(slow);
      if (late) note('late');
      scheduler.after(late ? random.delay_ms(100, LATE_MS_MAX) : random.delay_ms(5, 80), undefined, () => {
        const answer = provider.carryOut(request);
        if (random.chance(lost_reply)) return note('reply lost');
        told(answer, random.delay_ms(5, 80));
      });
    });
  }

  async function step(
    name: Request['step'],
    request: StepRequest & { amount?: number; token?: string },
  ): Promise<Outcome> {
    const answer = await call({
      ...{ step: name, reference: request.reference, psp_ref: request.psp_ref, key: request.idempotency_key },
      ...{ amount: request.amount ?? 0, currency: request.currency, token: request.token ?? '' },
    });
    switch (answer.kind) {
      case 'lost':
        return { kind: 'unknown', reason: answer.reason };
      case 'error':
        return { kind: 'unknown', reason: 'error', answered: true };
      case 'absent':
        return { kind: 'declined', code: 'not_found' };
      case 'declined':
        return answer;
      case 'payment': {
        const { payment } = answer;
        if (payment.status === 'declined')
          return { kind: 'declined', code: payment.decline_code ?? 'declined', payment };
        if (payment.status === 'pending') return { kind: 'pending', payment, next_action: { type: 'wait' } };
        return { kind: 'approved', payment };
      }
    }
  }

  const psp: Psp = {
    name: 'sim',
    capabilities: CAPABILITIES[provider.kind],
    ...(provider.kind === 'creating'
      ? {
          async create(request) {
            const outcome = await step('create', { ...request, token: request.payment_method.token });
            if (outcome.kind === 'unknown') return outcome;
            if (outcome.kind === 'declined') return { kind: 'declined', code: outcome.code };
            return { kind: 'created', psp_ref: outcome.payment.psp_ref };
          },
        }
      : {}),
    authorize: (request) => step('authorize', { ...request, token: request.payment_method.token }),
    capture: (request) => step('capture', request),
    void: (request) => step('void', request),
    refund: (request) => step('refund', request),
    async lookUp({ reference, psp_ref }) {
      // Without a stored name nothing was ever confirmed.
      if (provider.kind === 'creating' && psp_ref === null) return { kind: 'absent' };
      const key = `${reference}:look`;
      const answer = await call({
        step: 'look_up',
        reference,
        psp_ref,
        key,
        amount: 0,
        currency: '',
        token: '',
      });
      if (answer.kind === 'payment') return { kind: 'found', payment: answer.payment };
      if (answer.kind === 'absent') return { kind: 'absent' };
      return { kind: 'unknown', reason: answer.kind === 'lost' ? answer.reason : 'error' };
    },
    verifyWebhook(headers, raw) {
      if (headers['sim-signature'] !== 'genuine') return { kind: 'refused', reason: 'signature' };
      const { id, payment } = JSON.parse(raw.toString()) as { id: string; payment: Payment };
      return { kind: 'genuine', event_id: id, body: payment };
    },
    readEvent: (body) => body as Payment,
    close: () => {},
  };
  return { chosen: psp, byName: (name) => (name === psp.name ? psp : undefined), close: () => {} };
}
