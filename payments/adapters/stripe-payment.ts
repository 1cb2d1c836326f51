/** PaymentIntents and Charges of Stripe, read as payments. */
import type Stripe from 'stripe';
import type { NextAction, Outcome, Payment, PaymentStatus } from '../port.ts';
import { asFields, asText, type Fields } from './reading.ts';
import { outcomeOfPayment } from './shown-payment.ts';
import { fromStripe } from './stripe-amounts.ts';

/** `unconfirmed`: it was made, and charges nothing until it is confirmed. */
export type ReadIntent =
  | { kind: 'payment'; payment: Payment }
  | { kind: 'unconfirmed' }
  | { kind: 'unreadable' };

/**
 * A PaymentIntent. Its captured and refunded sums are right when `latest_charge.refunds` is expanded; otherwise nothing
 * counts as refunded, which a webhook may well leave out: states only move forward.
 */
export function readIntent(value: unknown): ReadIntent {
  const intent = asFields(value);
  const currency = asText(intent?.currency)?.toUpperCase();
  const psp_ref = asText(intent?.id);
  const reference = asText(asFields(intent?.metadata)?.attempt);
  if (!intent || !currency || !psp_ref || !reference) return { kind: 'unreadable' };
  const amount = fromStripe(Number(intent.amount), currency);
  const captured = fromStripe(Number(intent.amount_received ?? 0), currency);
  const refunded = refundedOf(asFields(intent.latest_charge), currency);
  const status = statusOf(intent, captured ?? 0, refunded ?? 0);
  if (status === 'unconfirmed') return { kind: 'unconfirmed' };
  if (!status || amount === undefined || captured === undefined || refunded === undefined) {
    return { kind: 'unreadable' };
  }
  const error = asFields(intent.last_payment_error);
  const payment: Payment = {
    ...{ reference, psp_ref, status, amount, captured, refunded, currency },
    decline_code: status === 'declined' ? declineCode(error) : null,
    next_action: status === 'pending' ? nextActionOf(intent) : null,
  };
  return { kind: 'payment', payment };
}

/** A Charge of a webhook, of which money was taken; others are told of as PaymentIntents, too. */
export function readCharge(value: unknown): Payment | undefined {
  const charge = asFields(value);
  const currency = asText(charge?.currency)?.toUpperCase();
  const psp_ref = asText(charge?.payment_intent);
  const reference = asText(asFields(charge?.metadata)?.attempt);
  if (!charge || !currency || !psp_ref || !reference || charge.captured !== true) return undefined;
  const amount = fromStripe(Number(charge.amount), currency);
  const captured = fromStripe(Number(charge.amount_captured), currency);
  const refunded = fromStripe(Number(charge.amount_refunded), currency);
  if (amount === undefined || !captured || refunded === undefined) return undefined;
  const status = refunded >= captured ? 'refunded' : 'captured';
  return {
    ...{ reference, psp_ref, status, amount, captured, refunded, currency },
    ...{ decline_code: null, next_action: null },
  };
}

/** What a confirmation, capture, cancellation or refund came to. */
export function outcomeOf(intent: Stripe.PaymentIntent): Outcome {
  const read = readIntent(intent);
  if (read.kind !== 'payment') return { kind: 'unknown', reason: read.kind };
  return outcomeOfPayment(read.payment, 'card_declined');
}

/** A card's `insufficient_funds` says more than its `card_declined`. */
export function declineCode(error: Fields | undefined): string {
  const code = asText(error?.code) ?? 'card_declined';
  const decline = asText(error?.decline_code);
  if (code === 'payment_intent_authentication_failure') return 'authentication_failed';
  if (code === 'payment_intent_payment_attempt_expired') return 'expired';
  if (decline === 'authentication_required') return decline;
  return decline && decline !== 'generic_decline' ? decline : code;
}

function statusOf(
  intent: Fields,
  captured: number,
  refunded: number,
): PaymentStatus | 'unconfirmed' | undefined {
  switch (intent.status) {
    case 'requires_payment_method':
      return intent.last_payment_error ? 'declined' : 'unconfirmed';
    case 'requires_confirmation':
      return 'unconfirmed';
    case 'requires_action':
    case 'processing':
      return 'pending';
    case 'requires_capture':
      return 'authorized';
    case 'canceled':
      return 'voided';
    case 'succeeded':
      return captured > 0 && refunded >= captured ? 'refunded' : 'captured';
    default:
      return undefined;
  }
}

/** What has been given back. A refund that is under way, or that failed, is not. */
function refundedOf(charge: Fields | undefined, currency: string): number | undefined {
  if (!charge) return 0;
  const { data, has_more } = asFields(charge.refunds) ?? {};
  if (!Array.isArray(data) || has_more === true)
    return fromStripe(Number(charge.amount_refunded ?? 0), currency);
  const done = data.map(asFields).filter((refund) => refund?.status === 'succeeded');
  return fromStripe(
    done.reduce((sum, refund) => sum + Number(refund?.amount), 0),
    currency,
  );
}

function nextActionOf(intent: Fields): NextAction {
  const url = asText(asFields(asFields(intent.next_action)?.redirect_to_url)?.url);
  return url ? { type: 'redirect', url } : { type: 'wait' };
}
