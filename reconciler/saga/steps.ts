/**
 * THE SAGA, as tables. Whatever wakes us up (a job, a webhook, the sweep), what is done next is read off an
 * attempt's row here and nowhere else; so a job that comes twice, late or out of order does no harm.
 *
 * | step | asks the provider to | when it is approved | undone by |
 * |---|---|---|---|
 * | create    | make the payment, charging nothing (where it can) | its reference is stored, if the attempt may still be paid: authorize | void |
 * | authorize | hold the money | checkout road: order confirmed; stepwise: authorized | void |
 * | capture   | take it: at once, for a recorded parcel, or before the hold on the money lapses | order shipped, if its parcel is recorded | refund |
 * | refund    | give a part back, by the operator's wish | the refund is done once the provider's sum says so | - |
 * | reverse   | void, or refund the rest, after a look | nothing left to do | - |
 * | look      | say what it knows | whatever it says; `absent`: create or authorize under the same key, while the order may be paid | - |
 *
 * | what happens | the order | its money |
 * |---|---|---|
 * | nothing is to be paid (amount 0) | as if it were approved | there is none; no provider is asked |
 * | the provider can't take this method or currency, or hold its money until shipment where the sale wants that | as if it were declined, `method_not_supported` | there is none; nobody was asked |
 * | pending: 3-D Secure, UPI, the provider decides | as it is; what the buyer has to do is told | a webhook or a look tells |
 * | declined, no further attempt follows | payment_failed, stock back | there is none |
 * | no answer, 5xx | as it is | attempt `unknown`: looked up, then asked for under the same key |
 * | errors under the same key, again and again | as it is | see KEYS: another key after a pause, and only if nothing was done |
 * | approved in time | confirmed (checkout), authorized (stepwise) | captured, once confirmed and wanted |
 * | approved when the hold is over or the order is canceled | as it is | reversed |
 * | canceled or refunded after confirmation | canceled, refunded | reversed |
 * | another amount or currency than asked for | as it is, until its deadline | reversed then; counted |
 * | its provider is not configured any more | as it is; counted | as it is, until it is configured again |
 */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { PaymentStatus } from '../../payments/port.ts';
import type { Providers } from '../../payments/providers.ts';

export type SagaStep = 'create' | 'authorize' | 'look' | 'capture' | 'reverse' | 'wait' | 'none';

export type Standing = {
  state: AttemptState;
  reversal_wanted: boolean;
  order_state: OrderState;
  capture_wanted: boolean;
  /** The provider can't know of it yet. */
  made?: boolean;
};

const STEP_OF_STATE = {
  pending: 'look',
  unknown: 'look',
  authorized: 'wait',
  captured: 'none',
  refunded: 'none',
  voided: 'none',
  declined: 'none',
} as const satisfies Record<AttemptState, SagaStep>;

/** Is the order's money due? The goods are its buyer's. */
export function isDue(state: OrderState): boolean {
  return state === 'confirmed' || state === 'shipped' || state === 'delivered';
}

export function nextStep(attempt: Standing): Exclude<SagaStep, 'create'> {
  if (isOver(attempt.state)) return 'none';
  if (attempt.reversal_wanted) return 'reverse';
  if (attempt.state === 'pending' && attempt.made) return 'authorize';
  if (attempt.state === 'authorized' && isDue(attempt.order_state) && attempt.capture_wanted)
    return 'capture';
  return STEP_OF_STATE[attempt.state];
}

/** Where money is to be held: a provider that makes payments unconfirmed makes this one first. */
export function firstStep(attempt: { psp_ref: string | null }, creates: boolean): 'create' | 'authorize' {
  return creates && attempt.psp_ref === null ? 'create' : 'authorize';
}

/** States in which the provider holds none of the buyer's money, for ever. */
export function isOver(state: AttemptState): boolean {
  return state === 'refunded' || state === 'voided' || state === 'declined';
}

/**
 * How money that must not stay goes back, by what the provider reads. What is still pending can be called back at some
 * providers (nobody will open that 3-D Secure page any more); where it can't, it is waited for.
 */
export const REVERSAL_BY_STATUS = {
  pending: 'call_back',
  authorized: 'void',
  captured: 'refund',
  refunded: 'none',
  voided: 'none',
  declined: 'none',
} as const satisfies Record<PaymentStatus, 'call_back' | 'void' | 'refund' | 'none'>;

/** Is there, or may there come to be, money at the provider? */
export function holdsMoney(status: PaymentStatus): boolean {
  return REVERSAL_BY_STATUS[status] !== 'none';
}

/**
 * KEYS. A step is asked for under the same key again and again: that can't do it twice. But a provider may repeat a
 * stored error for ever. So after `same_key_ms` of answered errors nobody asks under that key any more; after another
 * `quiet_ms`, when every call under it has ended, and a look says that nothing was done, the next key is used.
 */
export type Patience = { same_key_ms: number; quiet_ms: number };

export function keyOf(
  step: { key_no: number; erred_ms: number | null },
  patience: Patience,
): number | 'quiet' {
  if (step.erred_ms === null || step.erred_ms < patience.same_key_ms) return step.key_no;
  return step.erred_ms < patience.same_key_ms + patience.quiet_ms ? 'quiet' : step.key_no + 1;
}

const DAY_MS = 86_400_000;

/** How long an authorization of a provider can be captured; undefined if it is not configured here. */
export function captureWithinMs(providers: Pick<Providers, 'byName'>, psp: string): number | undefined {
  const days = providers.byName(psp)?.capabilities.authorization_days;
  return days === undefined ? undefined : days * DAY_MS;
}
