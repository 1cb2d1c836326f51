/**
 * THE SAGA, as tables. Whatever wakes us up (a job, a webhook, the sweep), what is done next is read off an
 * attempt's row here and nowhere else; so a job that comes twice, late or out of order does no harm.
 *
 * | step | asks the provider to | when it is approved | undone by |
 * |---|---|---|---|
 * | authorize | hold the money | checkout road: order confirmed; stepwise: authorized | void |
 * | capture   | take it | nothing left to do | refund |
 * | reverse   | void or refund, after a look | nothing left to do | - |
 * | look      | say what it knows | whatever it says; `absent`: authorize under the same key, while the order may be paid | - |
 *
 * | what happens | the order | its money |
 * |---|---|---|
 * | declined, no further attempt follows | payment_failed, stock back | there is none |
 * | no answer, 5xx | as it is | attempt `unknown`: looked up, never asked for under a new key |
 * | approved in time | confirmed (checkout), authorized (stepwise) | captured, once confirmed |
 * | approved when the hold is over or the order is canceled | as it is | reversed |
 * | canceled after confirmation | canceled, stock back | reversed |
 * | another amount or currency than asked for | as it is, until its deadline | reversed then; counted |
 */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { PaymentStatus } from '../../payments/port.ts';

export type SagaStep = 'authorize' | 'look' | 'capture' | 'reverse' | 'wait' | 'none';

export type Standing = {
  state: AttemptState;
  reversal_wanted: boolean;
  order_state: OrderState;
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

export function nextStep(attempt: Standing): SagaStep {
  if (isOver(attempt.state)) return 'none';
  if (attempt.reversal_wanted) return 'reverse';
  if (attempt.state === 'pending' && attempt.made) return 'authorize';
  if (attempt.state === 'authorized' && isDue(attempt.order_state)) return 'capture';
  return STEP_OF_STATE[attempt.state];
}

/** States in which the provider holds none of the buyer's money, for ever. */
export function isOver(state: AttemptState): boolean {
  return state === 'refunded' || state === 'voided' || state === 'declined';
}

/** How money that must not stay goes back, by what the provider reads. */
export const REVERSAL_BY_STATUS = {
  pending: 'wait',
  authorized: 'void',
  captured: 'refund',
  refunded: 'none',
  voided: 'none',
  declined: 'none',
} as const satisfies Record<PaymentStatus, 'wait' | 'void' | 'refund' | 'none'>;
