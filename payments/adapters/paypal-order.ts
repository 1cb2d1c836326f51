/** A PayPal order with what was held, taken and given back under it, read as a payment. */
import type { Payment, PaymentStatus } from '../port.ts';
import { fromDecimal } from './amounts.ts';
import { asFields, asList, asText, type Fields } from './reading.ts';

/**
 * Currencies that PayPal takes, with its decimals: developer.paypal.com, currency codes. BRL, CNY and MYR only within
 * their countries. HUF and TWD have none there, two in ISO 4217.
 */
export const DECIMALS: Readonly<Record<string, number>> = {
  AUD: 2, BRL: 2, CAD: 2, CHF: 2, CNY: 2, CZK: 2, DKK: 2, EUR: 2, GBP: 2, HKD: 2, HUF: 0, ILS: 2, JPY: 0, MXN: 2,
  MYR: 2, NOK: 2, NZD: 2, PHP: 2, PLN: 2, SEK: 2, SGD: 2, THB: 2, TWD: 0, USD: 2,
}; // biome-ignore format: a table reads better packed

export type PayPalOrder = {
  id: string;
  status: string;
  amount: number;
  currency: string;
  links: readonly Fields[];
  authorization_id?: string;
  capture_id?: string;
  /** Absent while nothing was held. */
  payment?: Payment;
};

/** Undefined unless every part that money depends on is there. */
export function readOrder(told: Fields | undefined, reference: string): PayPalOrder | undefined {
  const id = asText(told?.id);
  const status = asText(told?.status);
  const unit = asList(told?.purchase_units)?.[0];
  const money = moneyOf(unit?.amount);
  const payments = asFields(unit?.payments) ?? {};
  const authorizations = asList(payments.authorizations ?? []);
  const captures = asList(payments.captures ?? []);
  const refunds = asList(payments.refunds ?? []);
  if (!told || !id || !status || !authorizations || !captures || !refunds) return undefined;
  // An answer in short: right after a step, and no statement about money.
  const authorization = authorizations.at(-1);
  const total = money ?? moneyOf(authorization?.amount);
  if (!total) return undefined;
  const order: PayPalOrder = { id, status, ...total, links: asList(told.links) ?? [] };
  if (!authorization) return order;
  const held = moneyOf(authorization.amount) ?? total;
  const settled = settle(authorization, captures, refunds);
  if (!settled) return undefined;
  return {
    ...order,
    authorization_id: asText(authorization.id),
    capture_id: settled.capture_id,
    payment: {
      ...{ reference, psp_ref: id, status: settled.status, ...held },
      ...{ captured: settled.captured, refunded: settled.refunded },
      decline_code: settled.status === 'declined' ? denialCode(authorization) : null,
      next_action: null,
    },
  };
}

type Settled = { status: PaymentStatus; captured: number; refunded: number; capture_id?: string };

/** A capture says more than its authorization, a refund more than its capture. */
function settle(
  authorization: Fields,
  captures: readonly Fields[],
  refunds: readonly Fields[],
): Settled | undefined {
  const taken = captures.map(captureOf);
  if (taken.includes(undefined)) return undefined;
  const known = taken.filter((capture) => capture !== undefined);
  const capture =
    known.find(({ status }) => status === 'captured') ?? known.find(({ status }) => status === 'pending');
  if (capture?.status === 'pending') {
    return { status: 'pending', captured: 0, refunded: 0, capture_id: capture.id };
  }
  if (capture) {
    const given_back = refundedOf(capture, refunds);
    if (given_back === undefined) return undefined;
    const whole = given_back >= capture.amount;
    return {
      status: whole ? 'refunded' : 'captured',
      captured: capture.amount,
      refunded: Math.min(given_back, capture.amount),
      capture_id: capture.id,
    };
  }
  const status = AUTHORIZATION_STATUSES[asText(authorization.status) ?? ''];
  return status ? { status, captured: 0, refunded: 0 } : undefined;
}

const AUTHORIZATION_STATUSES: Readonly<Record<string, PaymentStatus>> = {
  CREATED: 'authorized',
  PENDING: 'pending',
  DENIED: 'declined',
  VOIDED: 'voided',
  EXPIRED: 'voided',
  // Its capture comes with it; without one nothing is certain.
};

/** Card processors' codes of Orders v2, `processor_response`, in our words. */
const DENIALS: Readonly<Record<string, string>> = {
  '0500': 'do_not_honor',
  '1330': 'invalid_token',
  '5100': 'card_declined',
  '5110': 'incorrect_cvc',
  '5120': 'insufficient_funds',
  '5180': 'restricted_card',
  '5400': 'expired_card',
  '9500': 'suspected_fraud',
  '9520': 'lost_or_stolen',
};

function denialCode(authorization: Fields): string {
  const code = asText(asFields(authorization.processor_response)?.response_code) ?? '';
  return Object.hasOwn(DENIALS, code) ? DENIALS[code] : 'card_declined';
}

export type Capture = {
  id: string;
  status: 'captured' | 'pending' | 'declined';
  amount: number;
  whole: boolean;
};

/** A capture, from an order, an answer or an event. `whole`: it was given back entirely. */
export function captureOf(told: Fields | undefined): Capture | undefined {
  const id = asText(told?.id);
  const amount = moneyOf(told?.amount)?.amount;
  if (!id || amount === undefined) return undefined;
  switch (told?.status) {
    case 'COMPLETED':
    case 'PARTIALLY_REFUNDED':
      return { id, status: 'captured', amount, whole: false };
    case 'REFUNDED':
      return { id, status: 'captured', amount, whole: true };
    case 'PENDING':
      return { id, status: 'pending', amount, whole: false };
    case 'DECLINED':
    case 'FAILED':
      return { id, status: 'declined', amount, whole: false };
    default:
      return undefined;
  }
}

/** What is on its way back and has not arrived is not given back yet. */
function refundedOf(capture: Capture, refunds: readonly Fields[]): number | undefined {
  if (capture.whole) return capture.amount;
  let sum = 0;
  for (const refund of refunds) {
    const amount = moneyOf(refund.amount)?.amount;
    if (amount === undefined) return undefined;
    if (refund.status === 'COMPLETED') sum += amount;
  }
  return sum;
}

export function moneyOf(told: unknown): { amount: number; currency: string } | undefined {
  const fields = asFields(told);
  const currency = asText(fields?.currency_code);
  if (currency === undefined) return undefined;
  const amount = fromDecimal(fields?.value, currency);
  return amount === undefined ? undefined : { amount, currency };
}

/** Where the buyer approves the order, or confirms a card's 3-D Secure. */
export function approvalOf(order: PayPalOrder): string | undefined {
  const link = order.links.find(({ rel }) => rel === 'payer-action' || rel === 'approve');
  return asText(link?.href);
}

/**
 * The payment that an event tells of. A refund's event does not say how much was captured, and an approval is only the
 * buyer's: the first tells of no payment, the second of a pending one.
 */
export function eventPayment(event: Fields | undefined): Payment | undefined {
  const resource = asFields(event?.resource);
  switch (event?.event_type) {
    case 'CHECKOUT.ORDER.APPROVED':
      return approvedPayment(resource);
    case 'PAYMENT.AUTHORIZATION.CREATED':
    case 'PAYMENT.AUTHORIZATION.VOIDED': {
      const status = AUTHORIZATION_STATUSES[asText(resource?.status) ?? ''];
      return status && partPayment(resource, status, 0);
    }
    case 'PAYMENT.CAPTURE.COMPLETED': {
      const capture = captureOf(resource);
      return capture?.status === 'captured' && !capture.whole
        ? partPayment(resource, 'captured', capture.amount)
        : undefined;
    }
    default:
      return undefined;
  }
}

function approvedPayment(resource: Fields | undefined): Payment | undefined {
  const reference = asText(asList(resource?.purchase_units)?.[0]?.custom_id);
  if (reference === undefined) return undefined;
  const order = readOrder(resource, reference);
  if (!order || order.payment) return order?.payment;
  const { id, amount, currency } = order;
  return {
    ...{ reference, psp_ref: id, status: 'pending', amount, currency },
    ...{ captured: 0, refunded: 0, decline_code: null, next_action: null },
  };
}

function partPayment(
  resource: Fields | undefined,
  status: PaymentStatus,
  captured: number,
): Payment | undefined {
  const reference = asText(resource?.custom_id);
  const money = moneyOf(resource?.amount);
  const related = asFields(asFields(resource?.supplementary_data)?.related_ids);
  if (!reference || !money) return undefined;
  return {
    // Without the order's id the stored one stays.
    ...{ reference, psp_ref: asText(related?.order_id) ?? '', status, ...money },
    ...{
      captured,
      refunded: 0,
      decline_code: status === 'declined' ? 'card_declined' : null,
      next_action: null,
    },
  };
}
