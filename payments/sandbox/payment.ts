/**
 * A payment in the sandbox and what may be done with it: pure, each verb returns the payment as it is afterwards.
 * Payments are never changed in place: an answer given once keeps what it said.
 */
import type { PaymentStatus } from '../port.ts';

export type SandboxPayment = {
  id: string;
  /** The merchant's name for it. */
  reference: string;
  order_id: string;
  status: PaymentStatus;
  /** Minor units. */
  amount: number;
  captured: number;
  refunded: number;
  currency: string;
  decline_code: string | null;
  created_at_ms: number;
  /** While pending: when it will succeed. */
  late_at_ms: number | null;
};

export type StepResult =
  | { kind: 'done'; payment: SandboxPayment; changed: boolean }
  | { kind: 'refused'; code: string; payment: SandboxPayment };

/** A pending payment succeeds after all. */
export function succeedLate(payment: SandboxPayment): SandboxPayment {
  return { ...payment, status: 'authorized', late_at_ms: null };
}

/** Takes what was authorized, whole and once. */
export function capture(payment: SandboxPayment, amount: number): StepResult {
  if (payment.status !== 'authorized') return refused(payment);
  if (amount !== payment.amount) return { kind: 'refused', code: 'amount_mismatch', payment };
  return done({ ...payment, status: 'captured', captured: amount });
}

/** Releases an authorization. What is still pending can't be called back, as with a bank transfer under way. */
export function voidPayment(payment: SandboxPayment): StepResult {
  if (payment.status === 'voided' || payment.status === 'declined') {
    return { kind: 'done', payment, changed: false };
  }
  if (payment.status !== 'authorized') return refused(payment);
  return done({ ...payment, status: 'voided' });
}

/** Gives captured money back, in one or several parts. */
export function refund(payment: SandboxPayment, amount: number): StepResult {
  if (payment.status !== 'captured') return refused(payment);
  const refunded = payment.refunded + amount;
  if (refunded > payment.captured) return { kind: 'refused', code: 'amount_mismatch', payment };
  return done({ ...payment, refunded, status: refunded === payment.captured ? 'refunded' : 'captured' });
}

function done(payment: SandboxPayment): StepResult {
  return { kind: 'done', payment, changed: true };
}

function refused(payment: SandboxPayment): StepResult {
  return { kind: 'refused', code: payment.status === 'pending' ? 'processing' : 'invalid_state', payment };
}
