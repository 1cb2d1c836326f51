/** Orders that nobody made, one a notice: for the preview, and for trying all templates at the start. */
import type { NoticeOrder } from '../../ledger/notices/notice-orders.ts';
import type { Notice } from './notice-table.ts';
import type { NoticeFacts } from './view.ts';

const AT = new Date('2026-11-21T11:14:04Z');

const ORDER: NoticeOrder = {
  order_id: 'bXkgb3JkZXIxMTIwNzRhYzE4NzQ2NWY5ZGQ',
  tenant: 'default',
  sale: 'demo',
  state: 'confirmed',
  reserved_at: new Date(AT.getTime() - 4_000),
  shipping_address: {
    name: 'Zoë Müller-Łaszcz',
    line1: '12 St James’s Square',
    line2: 'Second floor',
    city: 'London',
    postal_code: 'SW1Y 4JH',
    country: 'GB',
  },
  contact: { email: 'zoe@example.com', phone: '+447700900123' },
  amounts: { currency: 'USD', subtotal: 50_700, discount: 5_000, shipping: 900, tax: 9_140, total: 55_740 },
  items: [
    { sku: 'aurora-headphones', name: 'Aurora wireless headphones', qty: 2, unit_price: 12_900 },
    { sku: 'trail-watch', name: 'Trail watch, titanium <limited edition>', qty: 1, unit_price: 24_900 },
  ],
  payment: { psp: 'stripe', method_type: 'card', decline_code: null },
  shipment: null,
  invoice: { no: 1042, issued_at_ms: AT.getTime() },
};

/** What an order is like when this notice is sent. */
const CHANGES: Partial<Record<Notice, { order?: Partial<NoticeOrder>; detail?: NoticeFacts['detail'] }>> = {
  payment_failed: {
    order: {
      payment: { psp: 'stripe', method_type: 'card', decline_code: 'insufficient_funds' },
      invoice: null,
    },
  },
  expired: { order: { invoice: null } },
  rejected: { order: { payment: null, invoice: null } },
  voided: { detail: { amount: 55_740, currency: 'USD' } },
  refunded: { detail: { amount: 55_740, currency: 'USD' } },
  partially_refunded: { detail: { amount: 12_900, currency: 'USD' } },
  shipped: {
    order: {
      shipment: {
        carrier: 'Royal Mail',
        tracking_number: 'QF 4821 7709 3GB',
        tracking_url: 'https://tracking.example/QF482177093GB',
      },
    },
  },
};

export function sampleFacts(notice: Notice): NoticeFacts {
  const change = CHANGES[notice];
  return { notice, order: { ...ORDER, ...change?.order }, detail: change?.detail ?? null, at: AT };
}

/** The same with nothing that an order may lack: a template must do without. */
export function bareFacts(notice: Notice): NoticeFacts {
  const facts = sampleFacts(notice);
  const order = {
    ...facts.order,
    shipping_address: null,
    contact: null,
    payment: null,
    shipment: null,
    invoice: null,
  };
  const amounts = { ...order.amounts, discount: 0, shipping: 0, tax: 0, total: order.amounts.subtotal };
  return { ...facts, order: { ...order, amounts }, detail: null };
}
