/** Money along the whole road, in real processes: every provider's own wire, webhooks both ways, mail, parcels, refunds. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './support/books.ts';
import { checkoutBody, createSale, type Sale } from './support/buyers.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const PATIENCE_MS = 60_000;
const UNITS = 20;
/** Minor units; in whole rupiah, which is all that Midtrans takes. */
const PRICE = 1_200;
/** With a currency that each takes. */
const PROVIDERS = [
  { psp: 'sandbox', currency: 'USD' },
  { psp: 'stripe', currency: 'USD' },
  { psp: 'midtrans', currency: 'IDR' },
  { psp: 'razorpay', currency: 'INR' },
  { psp: 'paypal', currency: 'USD' },
];

const folder = dataFolder();
let stack: RunningStack;
beforeAll(async () => {
  stack = await startStack(folder.path);
});
afterAll(async () => {
  await stack.stop();
  folder.remove();
});

let purchases = 0;
type Order = {
  state: string;
  refunded: number;
  shipment: { tracking_number: string } | null;
  payments: {
    state: string;
    psp: string;
    captured: number;
    refunded: number;
    next_action: { type: string; url: string } | null;
  }[];
  history: { from: string | null; to: string; cause: string }[];
};

/** Buys one unit; returns how to look at the order, and who may. */
async function buy(sale: Sale, options: { token?: string; email?: string } = {}) {
  purchases += 1;
  const buyer = stack.api.token(`${sale.id}-buyer-${purchases}`, 'buyer');
  const body = {
    ...checkoutBody(sale),
    payment_method: { type: 'card', token: options.token ?? 'pm_ok' },
    contact: { email: options.email ?? `buyer-${purchases}@example.com`, phone: '+442071838750' },
  };
  const key = `money-purchase-${purchases}`;
  const { status, body: answer } = await stack.api.call('POST', '/v1/checkout', { token: buyer, key, body });
  expect([status, answer.code]).toEqual([201, undefined]);
  const id = answer.order_id as string;
  const look = async () =>
    (await stack.api.call('GET', `/v1/orders/${id}`, { token: buyer })).body as unknown as Order;
  const until = (what: string, check: (order: Order) => boolean) =>
    eventually(`order ${what}`, PATIENCE_MS, look, check);
  return { id, buyer, look, until };
}

const captured = ({ state, payments }: Order) => state === 'confirmed' && payments[0]?.state === 'captured';
const operate = (id: string, what: string, body: object, key = `money-${what}-of-${id}`) =>
  stack.api.call('POST', `/v1/admin/orders/${id}/${what}`, { token: stack.admin, key, body });
const money = (id: string) => {
  const payments = stack.payments().filter(({ order_id }) => order_id === id);
  const sum = (of: 'captured' | 'refunded') => payments.reduce((total, payment) => total + payment[of], 0);
  return { captured: sum('captured'), refunded: sum('refunded') };
};
const available = async ({ id }: Sale) => {
  const { body } = await stack.api.call('GET', `/v1/sales/${id}`, { token: stack.admin });
  return (body.items as { available: number }[])[0]?.available;
};
const balanced = (sale: Sale) =>
  eventually(
    'audit',
    PATIENCE_MS,
    () => stack.api.call('GET', `/v1/admin/sales/${sale.id}/audit`, { token: stack.admin }),
    ({ body }) => body.balanced === true,
  );

describe.each(PROVIDERS)('paid through $psp', ({ psp, currency }) => {
  let sale: Sale;
  beforeAll(async () => {
    sale = await createSale(stack, `money-${psp}`, UNITS, ['first'], { psp, currency, unit_price: PRICE });
  });

  test('captured, refunded in part, then returned: nothing is kept and the unit is back on sale', async () => {
    const order = await buy(sale);
    const paid = await order.until('captured', captured);
    expect(paid.payments).toMatchObject([{ psp, captured: PRICE, refunded: 0 }]);
    expect((await operate(order.id, 'refund', { amount: 200, reason: 'a scratch' })).status).toBe(202);
    await order.until('refunded in part', ({ refunded }) => refunded === 200);
    expect(money(order.id)).toEqual({ captured: PRICE, refunded: 200 });
    const before = await available(sale);

    expect((await operate(order.id, 'ship', { tracking_number: 'T-1' })).status).toBe(200);
    expect((await operate(order.id, 'deliver', {})).status).toBe(200);
    const returned = await operate(order.id, 'return', {});
    expect([returned.status, returned.body.state]).toEqual([200, 'refunded']);
    const end = await order.until('given back', ({ payments }) => payments[0]?.state === 'refunded');
    expect([end.state, end.refunded]).toEqual(['refunded', PRICE]);
    expect(money(order.id)).toEqual({ captured: PRICE, refunded: PRICE });
    await eventually(
      'the unit',
      PATIENCE_MS,
      () => available(sale),
      (units) => units === (before ?? 0) + 1,
    );
    await balanced(sale);
  });

  test('canceled after it was confirmed: net nothing', async () => {
    const order = await buy(sale);
    await order.until('captured', captured);
    const cancel = await stack.api.call('POST', `/v1/orders/${order.id}/cancel`, { token: order.buyer });
    expect(cancel.body.state).toBe('canceled');
    await order.until('given back', ({ payments }) => payments[0]?.state === 'refunded');
    expect(money(order.id)).toEqual({ captured: PRICE, refunded: PRICE });
  });

  test('declined: the order fails with the reason, and nobody is charged', async () => {
    const order = await buy(sale, { token: 'pm_insufficient_funds' });
    const failed = await order.until('failed', ({ state }) => state === 'payment_failed');
    expect(failed.payments).toMatchObject([{ state: 'declined', decline_code: 'insufficient_funds' }]);
    expect(money(order.id)).toEqual({ captured: 0, refunded: 0 });
  });

  test('3-D Secure: waits for the buyer, who approves on the bank’s page and is led back to the shop', async () => {
    const order = await buy(sale, { token: 'pm_3ds' });
    const asked = await order.until('asked', ({ payments }) => payments[0]?.next_action?.type === 'redirect');
    expect(asked.state).toBe('reserved');
    const url = asked.payments[0]?.next_action?.url ?? '';
    const page = await (await fetch(url)).text();
    const action = new URL(/<form[^>]*action="([^"]*)"/.exec(page)?.[1] ?? url, url);
    const button = /<button[^>]*name="([^"]+)"[^>]*value="(approve[^"]*)"/.exec(page);
    const approved = await fetch(action, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ [button?.[1] ?? 'decision']: button?.[2] ?? 'approve' }),
    });
    expect([approved.status, approved.headers.get('location')]).toEqual([
      303,
      expect.stringContaining(`order=${order.id}`),
    ]);
    await order.until('captured', captured);
    expect(money(order.id).captured).toBe(PRICE);
  });
});

test('captured on shipment: held until the parcel is recorded, then taken, then shipped', async () => {
  const terms = { psp: 'stripe', capture: 'on_shipment', unit_price: PRICE };
  const sale = await createSale(stack, 'money-later', UNITS, ['first'], terms);
  const [kept, shipped] = [await buy(sale), await buy(sale)];
  for (const order of [kept, shipped]) {
    const { payments } = await order.until('confirmed', ({ state }) => state === 'confirmed');
    expect(payments).toMatchObject([{ state: 'authorized', captured: 0 }]);
  }
  const parcel = { carrier: 'DHL', tracking_number: 'JD0146', tracking_url: 'https://dhl.example/JD0146' };
  expect([200, 202]).toContain((await operate(shipped.id, 'ship', parcel)).status);
  const gone = await shipped.until('shipped', ({ state }) => state === 'shipped');
  expect([gone.shipment, gone.payments[0]]).toMatchObject([parcel, { state: 'captured', captured: PRICE }]);
  expect(money(kept.id)).toEqual({ captured: 0, refunded: 0 });

  expect((await operate(kept.id, 'refund', { restock: true })).body.state).toBe('refunded');
  await kept.until('released', ({ payments }) => payments[0]?.state === 'voided');
  expect(money(kept.id)).toEqual({ captured: 0, refunded: 0 });
  await balanced(sale);
});

test('buyer and merchant hear of it: mails with the invoice, webhooks in order that verify', async () => {
  const received: { type: string; data: { order_id: string } }[] = [];
  let webhook: Webhook | undefined;
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = request.headers as Record<string, string>;
    // The first try is refused: it comes again.
    if (!webhook) return response.writeHead(503).end();
    received.push(webhook.verify(Buffer.concat(chunks).toString(), headers) as (typeof received)[number]);
    return response.writeHead(204).end();
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hooks`;
  try {
    const sale = await createSale(stack, 'money-told', UNITS);
    const made = await stack.api.call('POST', '/v1/merchant/webhooks', { token: stack.admin, body: { url } });
    expect(made.status).toBe(201);
    webhook = new Webhook(made.body.secret as string);
    const order = await buy(sale, { email: 'told@example.com' });
    await order.until('captured', captured);
    await operate(order.id, 'ship', { carrier: 'DHL', tracking_number: 'JD0147' });
    await operate(order.id, 'refund', {});
    await order.until('given back', ({ payments }) => payments[0]?.state === 'refunded');

    const types = () => received.filter(({ data }) => data.order_id === order.id).map(({ type }) => type);
    const expected = [
      ...['order.reserved', 'order.authorized', 'order.confirmed', 'payment.captured', 'shipment.recorded'],
      ...['order.shipped', 'order.refunded', 'payment.refunded'],
    ];
    await eventually('webhooks', PATIENCE_MS, types, (told) => told.length >= expected.length);
    expect(types()).toEqual(expected);

    const mailbox = /Mail\s+(http:\S+)/.exec(stack.output())?.[1] ?? '';
    const page = async () => (await fetch(mailbox)).text();
    const told = (text: string) => [...text.matchAll(/told@example\.com/g)].length;
    await eventually(
      'mails',
      PATIENCE_MS,
      async () => told(await page()),
      (mails) => mails >= 3,
    );
    const mails = [...(await page()).matchAll(/href="(\/mails\/[^"/]+)"/g)].map(
      (match) => match[1] as string,
    );
    const texts = await Promise.all(mails.map(async (mail) => (await fetch(mailbox + mail)).text()));
    const mine = texts.filter((text) => text.includes('told@example.com'));
    expect(mine.filter((text) => /attachments\/0/.test(text))).toHaveLength(1);
    expect(mine.filter((text) => text.includes('JD0147')).length).toBeGreaterThan(0);
  } finally {
    receiver.close();
    receiver.closeAllConnections();
  }
});
