/** A transaction as Midtrans tells it, in an answer or a notification, read as a payment. */
import type { NextAction, Payment, PaymentStatus } from '../port.ts';
import { fromDecimal } from './amounts.ts';
import { asFields, asList, asText, type Fields } from './reading.ts';

/** Transaction statuses of docs.midtrans.com/docs/transaction-status-cycle. A chargeback is money that is gone. */
const STATUSES: Readonly<Record<string, PaymentStatus>> = {
  pending: 'pending',
  authorize: 'authorized',
  capture: 'captured',
  settlement: 'captured',
  partial_refund: 'captured',
  partial_chargeback: 'captured',
  refund: 'refunded',
  chargeback: 'refunded',
  cancel: 'voided',
  deny: 'declined',
  expire: 'declined',
  failure: 'declined',
};

/** Undefined unless every part that money depends on is there. */
export function paymentOf(told: Fields | undefined): Payment | undefined {
  const status_told = asText(told?.transaction_status)?.toLowerCase();
  const known = status_told === undefined ? undefined : STATUSES[status_told];
  const reference = asText(told?.order_id);
  const psp_ref = asText(told?.transaction_id);
  const amount = fromDecimal(told?.gross_amount, 'IDR');
  if (!told || !known || !reference || !psp_ref || amount === undefined) return undefined;
  if (told.currency !== undefined && told.currency !== 'IDR') return undefined;
  const status = afterFraudCheck(known, told.fraud_status);
  const taken = status === 'captured' || status === 'refunded';
  const refunded = status === 'refunded' ? amount : status_told === 'partial_refund' ? refundedOf(told) : 0;
  if (refunded === undefined) return undefined;
  return {
    reference,
    psp_ref,
    status,
    amount,
    captured: taken ? amount : 0,
    refunded,
    currency: 'IDR',
    decline_code: status === 'declined' ? declineCode(status_told, told) : null,
    next_action: status === 'pending' ? nextAction(told) : null,
  };
}

/** `status_code`, which they send as text. */
export function statusCodeOf(told: Fields | undefined): string | undefined {
  const code = told?.status_code;
  return typeof code === 'number' ? String(code) : asText(code);
}

/** Held up for a person to approve or deny: nothing is certain until then. */
function afterFraudCheck(status: PaymentStatus, fraud_status: unknown): PaymentStatus {
  const holds = status === 'authorized' || status === 'captured';
  if (holds && fraud_status === 'challenge') return 'pending';
  if (holds && fraud_status === 'deny') return 'declined';
  return status;
}

/** The sum, or undefined where a notification of a partial refund leaves it out: only a look tells then. */
function refundedOf(told: Fields): number | undefined {
  const refunds = asList(told.refunds);
  if (!refunds || refunds.length === 0) return fromDecimal(told.refund_amount, 'IDR');
  let sum = 0;
  for (const refund of refunds) {
    const amount = fromDecimal(refund.refund_amount, 'IDR');
    if (amount === undefined) return undefined;
    sum += amount;
  }
  return sum;
}

function declineCode(status: string | undefined, told: Fields): string {
  if (status === 'expire') return 'expired';
  if (status === 'failure') return 'processing_error';
  return denialCode(told);
}

/** Banks' response codes, docs.midtrans.com/reference/channel-response-code, in our words. */
const DENIALS: Readonly<Record<string, string>> = {
  '05': 'do_not_honor',
  '14': 'incorrect_number',
  '33': 'expired_card',
  '54': 'expired_card',
  '51': 'insufficient_funds',
  '61': 'amount_too_large',
  '65': 'withdrawal_count_limit_exceeded',
  '55': 'authentication_failed',
  '75': 'authentication_failed',
  '82': 'incorrect_cvc',
  '83': 'authentication_failed',
  '04': 'pickup_card',
  '07': 'pickup_card',
  '41': 'lost_card',
  '43': 'stolen_card',
  '34': 'suspected_fraud',
  '59': 'suspected_fraud',
  '57': 'restricted_card',
  '62': 'restricted_card',
  '90': 'issuer_not_available',
  '91': 'issuer_not_available',
  '96': 'processing_error',
};

export function denialCode(told: Fields): string {
  if (told.fraud_status === 'deny') return 'suspected_fraud';
  const code = asText(told.channel_response_code);
  if (code !== undefined && Object.hasOwn(DENIALS, code)) return DENIALS[code];
  if (told.three_ds_challenge_completion === false) return 'authentication_failed';
  return 'card_declined';
}

/** 3-D Secure's page; the wallet's app; or, where there is neither, the QR code's image. */
function nextAction(told: Fields): NextAction | null {
  const page = asText(told.redirect_url);
  if (page) return { type: 'redirect', url: page };
  const actions = asList(told.actions) ?? [];
  for (const name of ['deeplink-redirect', 'generate-qr-code-v2', 'generate-qr-code']) {
    const url = asText(actions.find((action) => asFields(action)?.name === name)?.url);
    if (url) return { type: 'redirect', url };
  }
  return null;
}
