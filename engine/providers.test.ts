/** Whole orders, paid at each provider that the sandbox plays, through its real adapter; and webhooks that nobody sent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({ psp: true });
});
afterAll(() => t.stop());

const ROWS = [
  { psp: 'sandbox', currency: 'USD', unit_price: 1_000 },
  { psp: 'stripe', currency: 'USD', unit_price: 1_000 },
  { psp: 'stripe', currency: 'JPY', unit_price: 500 },
  { psp: 'midtrans', currency: 'IDR', unit_price: 14_500_000 },
  { psp: 'razorpay', currency: 'INR', unit_price: 50_000 },
];

const items = (unit_price: number) => [{ sku: 'a', name: 'A', unit_price, qty: 100 }];
const contact = { email: 'ada@example.com', phone: '+442079460000' };

describe.each(ROWS)('$psp in $currency', ({ psp, currency, unit_price }) => {
  const order = async (token: string, id: string) =>
    (await t.call('GET', `/v1/orders/${id}`, { token })).body;
  const WAIT = { timeout: 20_000 };

  it('a sale of its own: reserved, authorized, captured, and given back when it is canceled', async () => {
    const sale_id = await t.sale({ psp, currency, items: items(unit_price) });
    const token = t.buyer();
    const { order_id } = (await t.buy(sale_id, { token, contact })).body;
    const payment = async () => (await order(token, order_id)).payments[0] ?? {};
    await expect.poll(payment, WAIT).toMatchObject({ psp, state: 'captured', captured: unit_price });
    const money = async () => (await t.sandbox?.testimony())?.orders.get(order_id);
    expect(await money()).toMatchObject({ captures: 1, captured: unit_price, refunded: 0, open: 0 });
    await t.call('POST', `/v1/orders/${order_id}/cancel`, { token });
    await expect.poll(payment, WAIT).toMatchObject({ state: 'refunded', refunded: unit_price });
    expect(await money()).toMatchObject({ unreversed_captures: 0, refunded: unit_price, open: 0 });
  });

  it('declined: the reason is told, and nothing is left open', async () => {
    const sale_id = await t.sale({ psp, currency, items: items(unit_price) });
    const token = t.buyer();
    const bought = await t.buy(sale_id, { token, contact, payment_token: 'pm_insufficient_funds' });
    const { order_id } = bought.body;
    await expect.poll(async () => (await order(token, order_id)).state, WAIT).toBe('payment_failed');
    expect((await order(token, order_id)).payments[0].decline_code).toBe('insufficient_funds');
    const money = (await t.sandbox?.testimony())?.orders.get(order_id);
    expect([money?.captures ?? 0, money?.open ?? 0]).toEqual([0, 0]);
  });
});

describe('webhooks that nobody sent', () => {
  const forged: [string, string, Record<string, string>][] = [
    ['stripe', 'no signature', {}],
    [
      'stripe',
      'a wrong one',
      { 'stripe-signature': `t=${Math.floor(Date.now() / 1_000)},v1=${'0'.repeat(64)}` },
    ],
    ['midtrans', 'no signature', {}],
    ['razorpay', 'no signature', {}],
    ['razorpay', 'a wrong one', { 'x-razorpay-signature': '0'.repeat(64) }],
    ['paypal', 'no signature', {}],
    ['sandbox', 'no signature', {}],
  ];

  it.each(forged)('%s with %s: 401, nothing is written', async (psp, _what, headers) => {
    const events = async () => (await t.db.query('SELECT count(*)::int AS n FROM psp_events')).rows[0].n;
    const before = await events();
    for (const raw of ['', 'null', '{}', `{"id":"evt_${newKey()}","order_id":"x","signature_key":"0"}`]) {
      const { status, body } = await t.call('POST', `/v1/webhooks/${psp}`, { raw, headers });
      expect([status, body.code]).toEqual([401, 'unauthorized']);
    }
    expect(await events()).toBe(before);
  });
});
