/** A payment as its buyer sees it. */
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';

type SeenPayment = Pick<
  AttemptRow,
  'no' | 'psp' | 'method_type' | 'amount' | 'currency' | 'state' | 'decline_code' | 'next_action'
>;

export function paymentView(attempt: SeenPayment) {
  return {
    no: attempt.no,
    psp: attempt.psp,
    type: attempt.method_type,
    amount: attempt.amount,
    currency: attempt.currency,
    state: attempt.state,
    decline_code: attempt.decline_code,
    next_action: isOpen(attempt) ? attempt.next_action : null,
  };
}

/** Neither secured nor refused yet. */
export function isOpen({ state }: Pick<AttemptRow, 'state'>): boolean {
  return state === 'pending' || state === 'unknown';
}

/** It goes on only after the buyer has done something. */
export function waitsForBuyer(attempt: AttemptRow): boolean {
  return isOpen(attempt) && attempt.next_action !== null && attempt.next_action.type !== 'wait';
}

/** Why an order that is still reserved can't be confirmed. `attempt`: its latest. */
export function whyNotPaid(attempt: AttemptRow | undefined): string {
  if (!attempt) return 'No payment was started.';
  if (waitsForBuyer(attempt)) return 'The payment waits for the buyer: `payment.next_action` says for what.';
  if (isOpen(attempt)) return 'The payment is under way: `payment` says how it stands.';
  return 'The payment did not succeed: `payment` says why. Another one can be started.';
}
