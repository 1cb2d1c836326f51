/**
 * What templates may speak of: every name is always there, and null where there is nothing to say. Everything that
 * people have typed is one line without control characters. Amounts and times are words already.
 */
import type { NoticeOrder } from '../../ledger/notices/notice-orders.ts';
import { oneLine, webLink } from './clean-text.ts';
import type { Notice } from './notice-table.ts';
import { reasonOf } from './reasons.ts';
import type { Words } from './words.ts';

export type Shop = {
  name: string;
  /** Where the store is; orders are at `?order=<id>` below it. */
  url: string;
  reply_to: string | null;
};

export type NoticeFacts = {
  notice: Notice;
  order: NoticeOrder;
  /** What the event said. */
  detail: { amount?: number; currency?: string; code?: string } | null;
  at: Date;
};

export type NoticeView = ReturnType<typeof noticeView>;

export function noticeView(facts: NoticeFacts, shop: Shop, words: Words) {
  const { order, detail, at } = facts;
  const { amounts, payment, shipment, shipping_address: address } = order;
  const { currency } = amounts;
  const amount = (minor: number) => words.amount(minor, currency);
  const link = shipment?.tracking_url ? webLink(shipment.tracking_url) : undefined;
  const reason = reasonOf(detail?.code ?? payment?.decline_code);
  return {
    notice: facts.notice,
    shop: { name: oneLine(shop.name), url: shop.url, reply_to: shop.reply_to },
    at: words.time(at),
    order: {
      id: order.order_id,
      url: `${shop.url.replace(/\/$/, '')}/?order=${encodeURIComponent(order.order_id)}`,
      placed_at: words.time(order.reserved_at),
      /** "Headphones", or "Headphones and 2 more". */
      goods: goodsOf(order),
    },
    lines: order.items.map((item) => ({
      name: oneLine(item.name),
      sku: item.sku,
      qty: item.qty,
      unit_price: amount(item.unit_price),
      amount: amount(item.qty * item.unit_price),
    })),
    amounts: {
      subtotal: amount(amounts.subtotal),
      /** Null where there is none. */
      discount: amounts.discount > 0 ? amount(-amounts.discount) : null,
      shipping: amounts.shipping > 0 ? amount(amounts.shipping) : null,
      tax: amounts.tax > 0 ? amount(amounts.tax) : null,
      total: amount(amounts.total),
    },
    /** Money that moved; the whole order where the event does not say. */
    money: words.amount(detail?.amount ?? amounts.total, detail?.currency ?? currency),
    payment: payment && { provider: providerName(payment.psp), method: methodName(payment.method_type) },
    reason: reason.text,
    advice: reason.advice,
    address: address && {
      lines: [
        address.name,
        address.line1,
        address.line2,
        [address.postal_code, address.city].join(' '),
        address.region,
        address.country,
      ]
        .filter((line) => line !== undefined && line !== '')
        .map((line) => oneLine(String(line))),
    },
    shipment: shipment && {
      carrier: shipment.carrier && oneLine(shipment.carrier),
      tracking_number: shipment.tracking_number && oneLine(shipment.tracking_number),
      tracking_url: link ?? null,
    },
    invoice: order.invoice && { number: invoiceNumber(order.invoice.no) },
  };
}

function goodsOf({ items }: NoticeOrder): string {
  const [first, ...others] = items;
  const name = oneLine(first?.name ?? '');
  return others.length === 0 ? name : `${name} and ${others.length} more`;
}

export function invoiceNumber(no: number): string {
  return `INV-${String(no).padStart(6, '0')}`;
}

const PROVIDERS: Readonly<Record<string, string>> = {
  sandbox: 'the sandbox provider',
  stripe: 'Stripe',
  midtrans: 'Midtrans',
  razorpay: 'Razorpay',
  paypal: 'PayPal',
};

export function providerName(psp: string): string {
  return (Object.hasOwn(PROVIDERS, psp) && PROVIDERS[psp]) || oneLine(psp);
}

const METHODS: Readonly<Record<string, string>> = { card: 'Card', upi: 'UPI', wallet: 'Wallet' };

export function methodName(type: string): string {
  return (Object.hasOwn(METHODS, type) && METHODS[type]) || oneLine(type);
}
