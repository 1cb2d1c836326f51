/** Examples in the API document, by schema. A test holds each against its schema. */
const reservation = { expires_at: '2027-01-31T12:10:00.000Z', server_time: '2027-01-31T12:00:00.000Z' };
const amounts = { currency: 'USD', subtotal: 25_800, discount: 0, shipping: 0, tax: 0, total: 25_800 };
const items = [{ sku: 'aurora-headphones', qty: 2, unit_price: 12_900 }];
const order_id = 'q83vASNFUKBdGu3MzR6cX0mQ2yU7nLwe';

function event(at: string, from: string | null, to: string, cause: string, actor: string) {
  return { at, from, to, cause, actor, detail: null };
}

export const EXAMPLES: Readonly<Record<string, unknown>> = {
  CheckoutRequest: {
    sale_id: 'demo',
    items: [{ sku: 'aurora-headphones', qty: 2 }],
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      name: 'Ada Lovelace',
      line1: '12 St James Square',
      city: 'London',
      postal_code: 'SW1Y 4JH',
      country: 'GB',
    },
    contact: { email: 'ada@example.com' },
  },
  LockRequest: { sale_id: 'demo', items: [{ sku: 'aurora-headphones', qty: 2 }] },
  PaymentRequest: { order_id, payment_method: { type: 'card', token: 'pm_ok' } },
  ConfirmRequest: { order_id },
  SaleRequest: {
    id: 'spring-drop',
    currency: 'USD',
    opens_at: '2027-01-31T12:00:00.000Z',
    hold_seconds: 600,
    limit_per_buyer: 2,
    items: [{ sku: 'aurora-headphones', name: 'Aurora wireless headphones', unit_price: 12_900, qty: 100 }],
  },
  StockChangeRequest: { items: [{ sku: 'aurora-headphones', qty: 10 }] },
  Reservation: { order_id, sale_id: 'demo', state: 'reserved', items, amounts, reservation },
  Order: {
    order_id,
    sale_id: 'demo',
    state: 'confirmed',
    items,
    amounts,
    reservation,
    refunded: 0,
    payments: [
      {
        no: 1,
        psp: 'sandbox',
        type: 'card',
        amount: 25_800,
        currency: 'USD',
        state: 'captured',
        decline_code: null,
        next_action: null,
        captured: 25_800,
        refunded: 0,
        reversal_wanted: false,
        created_at: '2027-01-31T12:00:00.120Z',
        updated_at: '2027-01-31T12:00:00.310Z',
      },
    ],
    shipment: null,
    contact: { email: 'ada@example.com' },
    history: [
      event('2027-01-31T12:00:00.090Z', null, 'reserved', 'checkout', 'buyer'),
      event('2027-01-31T12:00:00.250Z', 'reserved', 'authorized', 'payment_authorized', 'psp'),
      event('2027-01-31T12:00:00.250Z', 'authorized', 'confirmed', 'checkout', 'saga'),
      {
        ...event('2027-01-31T12:00:00.310Z', 'confirmed', 'confirmed', 'payment_captured', 'psp'),
        detail: { amount: 25_800, currency: 'USD' },
      },
    ],
    as_of: '2027-01-31T12:00:01.000Z',
    source: 'ledger',
  },
  RefundRequest: { amount: 5_000, reason: 'scratched' },
  ReturnRequest: { reason: 'too large', restock: true },
  ShipmentRequest: {
    carrier: 'DHL',
    tracking_number: 'JD014600003',
    tracking_url: 'https://www.dhl.com/track?id=JD014600003',
  },
  OrderRefund: {
    order_id,
    state: 'confirmed',
    refund_id: '824ad1f1-ed7e-45bb-8fce-3215d852ff2d',
    amount: 5_000,
    currency: 'USD',
    reason: 'scratched',
    restocked: false,
  },
  OrderList: {
    orders: [
      {
        order_id,
        sale_id: 'demo',
        state: 'confirmed',
        buyer: 'ada',
        currency: 'USD',
        total: 25_800,
        reserved_at: '2027-01-31T12:00:00.000Z',
        updated_at: '2027-01-31T12:00:00.250Z',
      },
    ],
    next_cursor: null,
  },
  LiveMessage: {
    id: 'demo',
    state: 'open',
    server_time: '2027-01-31T12:00:00.000Z',
    items: [{ sku: 'aurora-headphones', available: 58, held: 2 }],
  },
  Problem: {
    type: '/docs/problems#sold_out',
    title: 'Sold out',
    status: 409,
    code: 'sold_out',
    detail: 'Less is left than you asked for; `short` says of what.',
    request_id: '5f0c3ab1d2e4-7k',
    short: [{ sku: 'aurora-headphones', requested: 2, available: 0 }],
  },
};
