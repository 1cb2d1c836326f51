/** How PayPal shows an order, its authorization, capture and refunds, and an event; and how it writes money. */
import { randomBytes } from 'node:crypto';
import { currencyExponent, formatMinor, isCurrency } from '../../../domain/money.ts';
import type { SandboxPayment } from '../payment.ts';

export type Body = Record<string, unknown>;

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ0123456789';

/** 17 capitals and digits, as theirs. An order's, its authorization's and its capture's differ in the first. */
export function named(kind: 'O' | 'R'): string {
  return kind + Array.from(randomBytes(16), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

export function orderOf(id: string): string {
  return `O${id.slice(1)}`;
}

export function orderTold(payment: SandboxPayment, url: string): Body {
  const { id, reference, order_id, challenge, extra } = payment;
  const held = authorizationTold(payment, url);
  const captured = payment.captured > 0 ? [captureTold(payment, url)] : [];
  const refunds = (payment.refunds ?? []).map((refund) => refundTold(payment, refund, url));
  const links = [link('self', 'GET', `${url}/v2/checkout/orders/${id}`)];
  const waits = payment.status === 'pending' && challenge;
  if (waits) links.push(link('payer-action', 'GET', challenge.url));
  else if (payment.status === 'created' && extra?.return_url) {
    links.push(link('payer-action', 'GET', `${url}/checkoutnow?token=${id}`));
  }
  return {
    id,
    intent: 'AUTHORIZE',
    status: orderStatus(payment),
    purchase_units: [
      {
        reference_id: order_id,
        custom_id: reference,
        invoice_id: reference,
        amount: money(payment.amount, payment.currency),
        ...(held ? { payments: { authorizations: [held], captures: captured, refunds } } : {}),
      },
    ],
    create_time: new Date(payment.created_at_ms).toISOString(),
    links,
  };
}

function orderStatus({ status, challenge, extra, method }: SandboxPayment): string {
  if (status === 'created') {
    if (extra?.approved === '1') return 'APPROVED';
    return extra?.return_url ? 'PAYER_ACTION_REQUIRED' : 'CREATED';
  }
  if (status === 'pending' && challenge) return 'PAYER_ACTION_REQUIRED';
  return status === 'declined' && method !== 'card' ? 'CREATED' : 'COMPLETED';
}

/** Undefined while nothing is held. */
export function authorizationTold(payment: SandboxPayment, url: string): Body | undefined {
  const { id, status, challenge, method, decline_code } = payment;
  const waits = status === 'pending' && challenge !== undefined;
  if (status === 'created' || waits || (status === 'declined' && method !== 'card')) return undefined;
  const authorization = `A${id.slice(1)}`;
  return {
    id: authorization,
    status: authorizationStatus(payment),
    amount: money(payment.amount, payment.currency),
    ...{ invoice_id: payment.reference, custom_id: payment.reference },
    supplementary_data: { related_ids: { order_id: id } },
    ...(status === 'declined'
      ? { processor_response: { response_code: PROCESSOR_CODES[decline_code ?? ''] ?? '5100' } }
      : {}),
    create_time: new Date(payment.created_at_ms).toISOString(),
    links: [link('self', 'GET', `${url}/v2/payments/authorizations/${authorization}`)],
  };
}

function authorizationStatus({ status }: SandboxPayment): string {
  switch (status) {
    case 'pending':
      return 'PENDING';
    case 'captured':
    case 'refunded':
      return 'CAPTURED';
    case 'voided':
      return 'VOIDED';
    case 'declined':
      return 'DENIED';
    default:
      return 'CREATED';
  }
}

const PROCESSOR_CODES: Readonly<Record<string, string>> = {
  do_not_honor: '0500',
  card_declined: '5100',
  insufficient_funds: '5120',
  expired_card: '5400',
  invalid_token: '1330',
};

export function captureTold(payment: SandboxPayment, url: string): Body {
  const { id, captured, refunded, currency, reference } = payment;
  const capture = `C${id.slice(1)}`;
  const status = refunded === 0 ? 'COMPLETED' : refunded === captured ? 'REFUNDED' : 'PARTIALLY_REFUNDED';
  return {
    id: capture,
    status,
    amount: money(captured, currency),
    final_capture: true,
    ...{ invoice_id: reference, custom_id: reference },
    supplementary_data: { related_ids: { order_id: id, authorization_id: `A${id.slice(1)}` } },
    links: [
      link('self', 'GET', `${url}/v2/payments/captures/${capture}`),
      link('up', 'GET', `${url}/v2/payments/authorizations/A${id.slice(1)}`),
    ],
  };
}

export function refundTold(payment: SandboxPayment, part: { id: string; amount: number }, url: string): Body {
  const { currency, refunded, reference, id } = payment;
  return {
    id: part.id,
    status: 'COMPLETED',
    amount: money(part.amount, currency),
    custom_id: reference,
    seller_payable_breakdown: {
      gross_amount: money(part.amount, currency),
      total_refunded_amount: money(refunded, currency),
    },
    links: [
      link('self', 'GET', `${url}/v2/payments/refunds/${part.id}`),
      link('up', 'GET', `${url}/v2/payments/captures/C${id.slice(1)}`),
    ],
  };
}

export function eventTold(payment: SandboxPayment, url: string): Body | undefined {
  const { status, refunded, extra } = payment;
  const event = (event_type: string, resource_type: string, resource: Body | undefined) =>
    resource && { resource_type, resource_version: '2.0', event_type, summary: event_type, resource };
  switch (status) {
    case 'created':
      return extra?.approved === '1'
        ? event('CHECKOUT.ORDER.APPROVED', 'checkout-order', orderTold(payment, url))
        : undefined;
    case 'authorized':
      return event('PAYMENT.AUTHORIZATION.CREATED', 'authorization', authorizationTold(payment, url));
    case 'voided':
      return event('PAYMENT.AUTHORIZATION.VOIDED', 'authorization', authorizationTold(payment, url));
    case 'captured':
    case 'refunded': {
      const part = payment.refunds?.at(-1);
      return refunded > 0 && part
        ? event('PAYMENT.CAPTURE.REFUNDED', 'refund', refundTold(payment, part, url))
        : event('PAYMENT.CAPTURE.COMPLETED', 'capture', captureTold(payment, url));
    }
    default:
      return undefined;
  }
}

/** PayPal's decimals: none for these, two for all others that it takes. */
const WHOLE = ['HUF', 'JPY', 'TWD'];

function money(amount: number, currency: string): Body {
  const value = formatMinor(amount, currency);
  return { currency_code: currency, value: WHOLE.includes(currency) ? value.replace(/\.\d+$/, '') : value };
}

export function moneyOf(told: unknown): { amount: number; currency: string } | undefined {
  const { currency_code, value } = fieldsOf(told);
  if (typeof currency_code !== 'string' || !isCurrency(currency_code) || typeof value !== 'string')
    return undefined;
  const decimals = WHOLE.includes(currency_code) ? 0 : 2;
  const pattern = decimals === 0 ? /^(\d{1,12})()$/ : /^(\d{1,12})\.(\d{2})$/;
  const match = pattern.exec(value);
  if (!match) return undefined;
  return {
    amount: Number(match[1] + match[2].padEnd(currencyExponent(currency_code), '0')),
    currency: currency_code,
  };
}

function link(rel: string, method: string, href: string) {
  return { href, rel, method };
}

export function fieldsOf(value: unknown): Body {
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}
