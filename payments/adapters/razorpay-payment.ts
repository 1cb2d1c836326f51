/** A payment as Razorpay tells it, in an answer or a webhook, read as the port's. */
import type { Payment, PaymentStatus } from '../port.ts';
import { asAmount, asFields, asText, type Fields } from './reading.ts';
import { byMoney } from './shown-payment.ts';

/** A payment and Razorpay's own name for it; the port knows it by its order. */
export type OrderPayment = { id: string; payment: Payment };

/** Undefined unless every part that money depends on is there. */
export function orderPayment(told: Fields | undefined, reference: string): OrderPayment | undefined {
  const id = asText(told?.id);
  const psp_ref = asText(told?.order_id);
  const currency = asText(told?.currency);
  const amount = asAmount(told?.amount);
  const given_back = asAmount(told?.amount_refunded ?? 0);
  const status = statusOf(told);
  if (!told || !id || !/^[A-Za-z0-9_]+$/.test(id) || !psp_ref || !currency || !status) return undefined;
  if (amount === undefined || given_back === undefined) return undefined;
  const taken = status === 'captured' || status === 'refunded';
  const refunded = status === 'refunded' ? amount : taken ? given_back : 0;
  return {
    id,
    payment: {
      ...{ reference, psp_ref, status, amount, currency, refunded },
      captured: taken ? amount : 0,
      decline_code: status === 'declined' ? (reasonOf(told.error_reason) ?? 'declined') : null,
      // The page or link that its making was answered with is not told again.
      next_action: null,
    },
  };
}

/** `created`: the buyer has to approve. What was given back without ever being captured was never taken. */
function statusOf(told: Fields | undefined): PaymentStatus | undefined {
  switch (told?.status) {
    case 'created':
    case 'pending':
      return 'pending';
    case 'authorized':
      return 'authorized';
    case 'captured':
      return 'captured';
    case 'refunded':
      return told.captured === false ? 'voided' : 'refunded';
    case 'failed':
      return 'declined';
    default:
      return undefined;
  }
}

/** Of the payments under one order the one that holds money; else that which may come to hold some. */
export function bestOf(payments: readonly OrderPayment[]): OrderPayment | undefined {
  return [...payments].sort((a, b) => byMoney(a.payment, b.payment))[0];
}

/** Events `payment.*` and `refund.*`, and `order.paid`: each carries the whole payment as it stood then. */
export function webhookPayment(event: Fields | undefined): Payment | undefined {
  const told = asFields(asFields(asFields(event?.payload)?.payment)?.entity);
  const reference = asText(asFields(told?.notes)?.reference);
  return reference === undefined ? undefined : orderPayment(told, reference)?.payment;
}

export type RazorpayError = { code: string; reason?: string; description?: string };

export function errorOf(body: Fields | undefined): RazorpayError | undefined {
  const error = asFields(body?.error);
  const code = asText(error?.code);
  if (!error || !code) return undefined;
  return { code, reason: reasonOf(error.reason), description: asText(error.description) };
}

/** Reasons of razorpay.com/docs/errors, in our words; the others are passed on as they are. */
const REASONS: Readonly<Record<string, string>> = {
  insufficient_funds: 'insufficient_funds',
  insufficient_fund: 'insufficient_funds',
  card_expired: 'expired_card',
  incorrect_card_expiry_date: 'expired_card',
  card_declined: 'card_declined',
  payment_declined: 'card_declined',
  payment_failed: 'card_declined',
  declined: 'card_declined',
  card_number_invalid: 'incorrect_number',
  incorrect_card_details: 'incorrect_number',
  incorrect_cvv: 'incorrect_cvc',
  authentication_failed: 'authentication_failed',
  incorrect_otp: 'authentication_failed',
  invalid_otp: 'authentication_failed',
  incorrect_pin: 'authentication_failed',
  payment_timed_out: 'expired',
  payment_collect_request_expired: 'expired',
  payment_session_expired: 'expired',
  payment_cancelled: 'canceled',
  transaction_limit_exceeded: 'amount_too_large',
  transaction_daily_limit_exceeded: 'amount_too_large',
  payment_risk_check_failed: 'suspected_fraud',
  bank_technical_error: 'issuer_not_available',
  gateway_technical_error: 'processing_error',
  server_error: 'processing_error',
  invalid_vpa: 'invalid_token',
};

function reasonOf(reason: unknown): string | undefined {
  const text = asText(reason);
  if (text === undefined || !/^[a-z0-9_]{1,64}$/.test(text)) return undefined;
  return Object.hasOwn(REASONS, text) ? REASONS[text] : text;
}
