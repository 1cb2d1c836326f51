/**
 * A payment in the sandbox and what may be done with it: pure, each verb returns the payment as it is afterwards.
 * Payments are never changed in place: an answer given once keeps what it said.
 */
import type { PaymentMethod } from '../../domain/types.ts';
import type { PaymentStatus } from '../port.ts';

/** `created`: charges nothing until it is confirmed. */
export type SandboxStatus = PaymentStatus | 'created';

export type SandboxPayment = {
  id: string;
  /** The wire that it was made by; absent: the sandbox's own. */
  provider?: string;
  /** The merchant's name for it. */
  reference: string;
  order_id: string;
  status: SandboxStatus;
  /** Minor units. */
  amount: number;
  captured: number;
  refunded: number;
  currency: string;
  decline_code: string | null;
  created_at_ms: number;
  /** While pending: when it goes on by itself, to what `challenge` says or to success. */
  late_at_ms: number | null;
  method?: PaymentMethod['type'];
  /** Unpaid it expires then. */
  deadline_ms?: number;
  /** What its buyer has to do, while pending, or had to do. */
  challenge?: Challenge;
  /** There is no hold: what is approved is captured. */
  capture_at_once?: true;
  refunds?: readonly SandboxRefund[];
  /** Of its wire. */
  extra?: Readonly<Record<string, string>>;
};

export type Challenge = {
  type: 'redirect' | 'upi';
  url: string;
  /** What comes of it when the buyer approves. */
  ends: 'authorized' | 'declined';
  /** Where the page leads afterwards. */
  return_url?: string;
};

/** `key`: the idempotency key that it was asked for under. */
export type SandboxRefund = { id: string; amount: number; at_ms: number; key: string | null };

export type StepResult =
  | { kind: 'done'; payment: SandboxPayment; changed: boolean }
  | { kind: 'refused'; code: 'invalid_state' | 'processing' | 'amount_mismatch'; payment: SandboxPayment };

/** What was pending, or is approved now, succeeds. */
export function succeed(payment: SandboxPayment): SandboxPayment {
  if (!payment.capture_at_once) return { ...payment, status: 'authorized', late_at_ms: null };
  return { ...payment, status: 'captured', captured: payment.amount, late_at_ms: null };
}

export function decline(payment: SandboxPayment, decline_code: string): SandboxPayment {
  return { ...payment, status: 'declined', decline_code, late_at_ms: null };
}

/** The buyer approves what the challenge shows. */
export function approve(payment: SandboxPayment): SandboxPayment {
  return payment.challenge?.ends === 'declined'
    ? decline(payment, 'authentication_failed')
    : succeed(payment);
}

/** Takes what was authorized, whole and once. */
export function capture(payment: SandboxPayment, amount: number): StepResult {
  if (payment.status !== 'authorized') return refused(payment);
  if (amount !== payment.amount) return { kind: 'refused', code: 'amount_mismatch', payment };
  return done({ ...payment, status: 'captured', captured: amount });
}

/**
 * Releases an authorization, or ends what its buyer has not paid. What is pending elsewhere can't be called back, as with a
 * bank transfer under way.
 */
export function voidPayment(payment: SandboxPayment): StepResult {
  const { status, challenge } = payment;
  if (status === 'voided' || status === 'declined') return { kind: 'done', payment, changed: false };
  const waits = status === 'created' || (status === 'pending' && challenge !== undefined);
  if (status !== 'authorized' && !waits) return refused(payment);
  return done({ ...payment, status: 'voided', late_at_ms: null });
}

/** Gives captured money back, in one or several parts. */
export function refund(payment: SandboxPayment, part: SandboxRefund): StepResult {
  if (payment.status !== 'captured') return refused(payment);
  const refunded = payment.refunded + part.amount;
  if (part.amount < 1 || refunded > payment.captured)
    return { kind: 'refused', code: 'amount_mismatch', payment };
  const refunds = [...(payment.refunds ?? []), part];
  const status = refunded === payment.captured ? 'refunded' : 'captured';
  return done({ ...payment, refunded, refunds, status });
}

function done(payment: SandboxPayment): StepResult {
  return { kind: 'done', payment, changed: true };
}

function refused(payment: SandboxPayment): StepResult {
  return { kind: 'refused', code: payment.status === 'pending' ? 'processing' : 'invalid_state', payment };
}
