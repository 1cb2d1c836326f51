/**
 * What an error of the Stripe SDK says about a call: declined only where it proves that nothing was done.
 *
 * | error | outcome |
 * |---|---|
 * | card_error (402) | declined, with the card's own code |
 * | invalid_request_error (400, 404) | declined with its code, unless it is about the state the payment is in: look |
 * | idempotency_error | unknown, answered: the key was used for another request |
 * | 409, 429, 401, 403, 503 | unknown: not done yet, or our own fault; the same call may succeed later |
 * | other 5xx | unknown, answered: Stripe keeps a 500 under its key |
 * | no answer | unknown |
 */
import Stripe from 'stripe';
import type { Outcome } from '../port.ts';
import { NoAnswer } from './stripe-http.ts';
import { declineCode, readIntent } from './stripe-payment.ts';

/** `state`: the payment is not in a state for this call; how it stands has to be looked up. */
export type StripeFailure =
  | Extract<Outcome, { kind: 'unknown' | 'declined' }>
  | { kind: 'state'; code: string };

const STATE_CODES = [
  'payment_intent_unexpected_state',
  'charge_already_captured',
  'charge_already_refunded',
  'charge_expired_for_capture',
];
/** About our account or its settings, not about the payment: somebody has to mend that, and ask again. */
const OUR_FAULT = [
  'resource_missing',
  'api_key_expired',
  'platform_api_key_expired',
  'testmode_charges_only',
];

export function failureOf(error: unknown): StripeFailure {
  if (error instanceof Stripe.errors.StripeConnectionError) {
    const { detail } = error as { detail?: unknown };
    return { kind: 'unknown', reason: detail instanceof NoAnswer ? detail.reason : 'connection' };
  }
  if (error instanceof Stripe.errors.StripeCardError) {
    const read = readIntent(error.payment_intent);
    const code = declineCode({ code: error.code, decline_code: error.decline_code });
    return { kind: 'declined', code, ...(read.kind === 'payment' ? { payment: read.payment } : {}) };
  }
  if (error instanceof Stripe.errors.StripeIdempotencyError) {
    return { kind: 'unknown', reason: 'idempotency_error', answered: true };
  }
  if (error instanceof Stripe.errors.StripeInvalidRequestError) {
    const code = error.code ?? 'invalid_request';
    if (STATE_CODES.includes(code)) return { kind: 'state', code };
    if (code === 'resource_missing' && error.param === 'payment_method') {
      return { kind: 'declined', code: 'invalid_token' };
    }
    if (OUR_FAULT.includes(code)) return { kind: 'unknown', reason: code };
    return { kind: 'declined', code };
  }
  if (error instanceof Stripe.errors.StripeError) {
    const status = error.statusCode;
    if (status === undefined) return { kind: 'unknown', reason: 'unreadable' };
    const stored = status >= 500 && status !== 503;
    return { kind: 'unknown', reason: `http_${status}`, ...(stored ? { answered: true } : {}) };
  }
  throw error;
}
