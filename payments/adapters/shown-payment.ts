/** What payments mean as their providers show them; the same for all of them. */
import type { NextAction, Outcome, Payment, PaymentStatus } from '../port.ts';

export const WAIT: NextAction = { type: 'wait' };

/** `unnamed_decline`: the code of a decline that its provider gives none for. */
export function outcomeOfPayment(payment: Payment, unnamed_decline = 'declined'): Outcome {
  if (payment.status === 'pending') {
    return { kind: 'pending', payment, next_action: payment.next_action ?? WAIT };
  }
  if (payment.status !== 'declined') return { kind: 'approved', payment };
  return { kind: 'declined', code: payment.decline_code ?? unnamed_decline, payment };
}

const HOLDS_MONEY: Readonly<Record<PaymentStatus, number>> = {
  captured: 5,
  authorized: 4,
  pending: 3,
  refunded: 2,
  voided: 1,
  declined: 0,
};

/** Sorts the payments under one name: first the one that holds money, then that which may come to hold some. */
export function byMoney(a: Payment, b: Payment): number {
  return HOLDS_MONEY[b.status] - HOLDS_MONEY[a.status];
}
