/** Stripe's objects, as the sandbox shows its payments: the fields that a client reads, and those its types demand. */
import { toStripe } from '../../adapters/stripe-amounts.ts';
import type { SandboxPayment, SandboxRefund } from '../payment.ts';
import type { WireEvent } from './wire.ts';

/** `expand`: `latest_charge`, `latest_charge.refunds`. */
export function intentOf(payment: SandboxPayment, expand: readonly string[]): Record<string, unknown> {
  const { id, status, challenge, amount, captured } = payment;
  const charged = chargeOf(payment, expand.includes('latest_charge.refunds'));
  const whole = expand.some((path) => path.startsWith('latest_charge'));
  const declined = status === 'declined';
  return {
    id,
    object: 'payment_intent',
    amount: count(amount, payment),
    amount_capturable: status === 'authorized' ? count(amount, payment) : 0,
    amount_received: count(captured, payment),
    canceled_at: null,
    cancellation_reason: status === 'voided' ? 'requested_by_customer' : null,
    capture_method: 'manual',
    client_secret: `${id}_secret_sandbox`,
    confirmation_method: 'automatic',
    created: seconds(payment.created_at_ms),
    currency: payment.currency.toLowerCase(),
    last_payment_error: declined
      ? { type: 'card_error', message: 'Your card was declined.', ...declineOf(payment) }
      : null,
    latest_charge: charged ? (whole ? charged : charged.id) : null,
    livemode: false,
    metadata: metadataOf(payment),
    next_action:
      status === 'pending' && challenge
        ? {
            type: 'redirect_to_url',
            redirect_to_url: { url: challenge.url, return_url: challenge.return_url ?? null },
          }
        : null,
    payment_method_types: ['card'],
    status: statusOf(payment),
  };
}

/** Undefined while nothing was ever charged. */
export function chargeOf(payment: SandboxPayment, refunds: boolean): Record<string, unknown> | undefined {
  const { id, status, amount, captured, refunded } = payment;
  if (status === 'created' || status === 'pending') return undefined;
  const ok = status !== 'declined';
  // Stripe counts what was released as given back.
  const given_back = status === 'voided' ? amount : refunded;
  return {
    id: id.replace(/^pi_/, 'ch_'),
    object: 'charge',
    amount: count(amount, payment),
    amount_captured: count(captured, payment),
    amount_refunded: count(given_back, payment),
    captured: captured > 0,
    created: seconds(payment.created_at_ms),
    currency: payment.currency.toLowerCase(),
    livemode: false,
    metadata: metadataOf(payment),
    paid: ok,
    payment_intent: id,
    refunded: ok && given_back === amount,
    status: ok ? 'succeeded' : 'failed',
    ...(refunds
      ? {
          refunds: {
            object: 'list',
            has_more: false,
            url: `/v1/charges/${id.replace(/^pi_/, 'ch_')}/refunds`,
            data: (payment.refunds ?? []).map((refund) => refundOf(payment, refund)).reverse(),
          },
        }
      : {}),
  };
}

export function refundOf(
  payment: SandboxPayment,
  { id, amount, at_ms }: SandboxRefund,
): Record<string, unknown> {
  return {
    id,
    object: 'refund',
    amount: count(amount, payment),
    charge: payment.id.replace(/^pi_/, 'ch_'),
    created: seconds(at_ms),
    currency: payment.currency.toLowerCase(),
    metadata: {},
    payment_intent: payment.id,
    status: 'succeeded',
  };
}

export function eventOf({ id, at_ms, payment }: WireEvent): Record<string, unknown> {
  const type = eventType(payment);
  return {
    id,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: seconds(at_ms),
    data: { object: type.startsWith('charge.') ? chargeOf(payment, false) : intentOf(payment, []) },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type,
  };
}

/** The code of an error, and what the card's bank said. */
export function declineOf({ decline_code }: SandboxPayment): { code: string; decline_code?: string } {
  switch (decline_code) {
    case 'authentication_failed':
      return { code: 'payment_intent_authentication_failure' };
    case 'expired':
      return { code: 'payment_intent_payment_attempt_expired' };
    case 'expired_card':
      return { code: 'expired_card', decline_code: 'expired_card' };
    case 'card_declined':
      return { code: 'card_declined', decline_code: 'generic_decline' };
    default:
      return { code: 'card_declined', decline_code: decline_code ?? 'generic_decline' };
  }
}

function statusOf({ status, challenge }: SandboxPayment): string {
  switch (status) {
    case 'created':
    case 'declined':
      return 'requires_payment_method';
    case 'pending':
      return challenge ? 'requires_action' : 'processing';
    case 'authorized':
      return 'requires_capture';
    case 'captured':
    case 'refunded':
      return 'succeeded';
    case 'voided':
      return 'canceled';
  }
}

function eventType(payment: SandboxPayment): string {
  switch (payment.status) {
    case 'created':
      return 'payment_intent.created';
    case 'pending':
      return payment.challenge ? 'payment_intent.requires_action' : 'payment_intent.processing';
    case 'authorized':
      return 'payment_intent.amount_capturable_updated';
    case 'captured':
      return payment.refunded > 0 ? 'charge.refunded' : 'payment_intent.succeeded';
    case 'refunded':
      return 'charge.refunded';
    case 'voided':
      return 'payment_intent.canceled';
    case 'declined':
      return 'payment_intent.payment_failed';
  }
}

function metadataOf({ reference, order_id }: SandboxPayment): Record<string, string> {
  return { attempt: reference, order: order_id };
}

function count(amount: number, { currency }: SandboxPayment): number {
  return toStripe(amount, currency) ?? amount;
}

function seconds(at_ms: number): number {
  return Math.floor(at_ms / 1_000);
}
