/** What PayPal's errors say about the money, by their `issue`; developer.paypal.com, Orders v2 and Payments v2 errors. */
import type { JsonAnswer } from '../http-json.ts';
import { asFields, asList, asText } from './reading.ts';

/** Of `{name, details: [{issue}]}`; undefined for what is no error of theirs. */
export function issueOf(answer: JsonAnswer): string | undefined {
  if (answer.kind === 'none') return undefined;
  const body = asFields(answer.body);
  return asText(asList(body?.details)?.[0]?.issue) ?? asText(body?.name);
}

/** Refusals of a payment, in our words. */
const DECLINES: Readonly<Record<string, string>> = {
  INSTRUMENT_DECLINED: 'card_declined',
  TRANSACTION_REFUSED: 'card_declined',
  PAYER_CANNOT_PAY: 'card_declined',
  CARD_DECLINED: 'card_declined',
  CARD_EXPIRED: 'expired_card',
  INSUFFICIENT_FUNDS: 'insufficient_funds',
  CARD_CLOSED: 'card_declined',
  CVV_FAILURE: 'incorrect_cvc',
  INVALID_SECURITY_CODE_LENGTH: 'incorrect_cvc',
  COMPLIANCE_VIOLATION: 'restricted_card',
  TRANSACTION_BLOCKED_BY_PAYEE: 'restricted_card',
  PAYER_ACCOUNT_RESTRICTED: 'account_blocked',
  PAYER_ACCOUNT_LOCKED_OR_CLOSED: 'account_blocked',
  PAYEE_ACCOUNT_RESTRICTED: 'processing_error',
  PAYEE_ACCOUNT_LOCKED_OR_CLOSED: 'processing_error',
  TRANSACTION_AMOUNT_EXCEEDS_MONTHLY_MAX_LIMIT: 'amount_too_large',
  TRANSACTION_LIMIT_EXCEEDED: 'amount_too_large',
  TRANSACTION_RECEIVING_LIMIT_EXCEEDED: 'amount_too_large',
  MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED: 'card_declined',
  MAX_AUTHORIZATION_COUNT_EXCEEDED: 'card_declined',
  ORDER_EXPIRED: 'expired',
  AUTHORIZATION_EXPIRED: 'expired',
  REDIRECT_PAYER_FOR_ALTERNATE_FUNDING: 'card_declined',
  PAYPAL_TRANSACTION_REFUSED: 'card_declined',
  TOKEN_ID_NOT_FOUND: 'invalid_token',
  INVALID_PAYMENT_SOURCE: 'invalid_token',
  MERCHANT_NOT_ENABLED_FOR_REFERENCE_TRANSACTION: 'method_not_supported',
  CURRENCY_NOT_SUPPORTED: 'currency_not_supported',
  CURRENCY_NOT_SUPPORTED_FOR_CARD_TYPE: 'currency_not_supported',
  CURRENCY_NOT_SUPPORTED_FOR_COUNTRY: 'currency_not_supported',
  DECIMAL_PRECISION: 'amount_not_supported',
  REFUND_AMOUNT_EXCEEDED: 'amount_mismatch',
  REFUND_NOT_ALLOWED: 'refund_rejected',
  REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK: 'refund_rejected',
  REFUND_TIME_LIMIT_EXCEEDED: 'refund_rejected',
  REFUND_FAILED_INSUFFICIENT_FUNDS: 'refund_rejected',
  AUTH_CAPTURE_CURRENCY_MISMATCH: 'amount_mismatch',
  MAX_CAPTURE_AMOUNT_EXCEEDED: 'amount_mismatch',
};

/**
 * Does this error refuse the payment, with nothing done? A malformed request: yes. A 422 only with an issue that is known
 * to be a refusal: others say that it was done before (ORDER_ALREADY_AUTHORIZED, DUPLICATE_INVOICE_ID, ...). A 403 is
 * about our account, not about the payment.
 */
export function isNothingDone(http_status: number, issue: string): boolean {
  if (http_status === 400) return true;
  return http_status === 422 && Object.hasOwn(DECLINES, issue);
}

export function declineCode(issue: string): string {
  return Object.hasOwn(DECLINES, issue) ? DECLINES[issue] : 'invalid_request';
}
