import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
let sale_id: string;
let held_sale: string;
beforeAll(async () => {
  t = await startTestEngine({ psp: true });
  sale_id = await t.sale();
  held_sale = await t.sale({ capture: 'on_shipment' });
});
afterAll(() => t.stop());

const refusal = ({ status, body }: Answered) => [status, body.code];
const look = (id: string, token = t.admin) => t.call('GET', `/v1/admin/orders/${id}`, { token });
const act = (id: string, action: string, body?: object, key?: string, token = t.admin) =>
  t.call('POST', `/v1/admin/orders/${id}/${action}`, { token, body, key });
const refund = (id: string, body?: object, key = newKey()) => act(id, 'refund', body, key);
const giveBack = (id: string, body?: object, key = newKey()) => act(id, 'return', body, key);
const ship = (id: string, body?: object) => act(id, 'ship', body);

const becomes = (id: string, change: object) =>
  expect.poll(async () => (await look(id)).body, { timeout: 15_000 }).toMatchObject(change);

/** An order of two units whose money is taken, or on `held_sale` held. */
async function bought(sale = sale_id, change: object = {}): Promise<string> {
  const { order_id } = (await t.buy(sale, { items: [{ sku: 'a', qty: 2 }], ...change })).body;
  const state = sale === held_sale ? 'authorized' : 'captured';
  await becomes(order_id, { state: 'confirmed', payments: [{ state }] });
  return order_id;
}

async function stock(
  sale: string,
): Promise<{ available: number; sold: number; balanced: boolean; live: string }> {
  const { body } = await t.call('GET', `/v1/admin/sales/${sale}/audit`, { token: t.admin });
  return {
    available: body.items[0].available,
    sold: body.items[0].sold,
    balanced: body.balanced,
    live: body.live.kind,
  };
}

describe('the life of an order', () => {
  it('money taken at once: a part goes back, shipped, delivered, returned', async () => {
    const sale = await t.sale();
    const id = await bought(sale);
    const part = await refund(id, { amount: 500, reason: 'scratched' });
    expect([part.status, part.body]).toEqual([
      202,
      {
        ...{ order_id: id, state: 'confirmed', refund_id: expect.any(String), amount: 500, currency: 'USD' },
        ...{ reason: 'scratched', restocked: false },
      },
    ]);
    await becomes(id, {
      refunds: [{ id: part.body.refund_id, state: 'done', reason: 'scratched' }],
      refunded: 500,
    });
    const parcel = {
      carrier: 'JNE',
      tracking_number: '4111111111111111',
      tracking_url: 'https://t.example/4111',
    };
    const shipped = await ship(id, parcel);
    expect([shipped.status, shipped.body.state, shipped.body.shipment]).toMatchObject([
      200,
      'shipped',
      parcel,
    ]);
    expect((await act(id, 'deliver')).body.state).toBe('delivered');
    const back = await giveBack(id, { reason: 'too small' });
    expect([back.status, back.body]).toMatchObject([
      200,
      { state: 'refunded', refund_id: null, amount: 1_500, restocked: true },
    ]);
    await becomes(id, { state: 'refunded', refunded: 2_000, restocked: true, refund_reason: 'too small' });
    await expect
      .poll(() => stock(sale), { timeout: 15_000 })
      .toEqual({ available: 100, sold: 0, balanced: true, live: 'agrees' });
    const { body } = await look(id);
    const by = 'operator:operator';
    expect(
      body.history.map((e: { to: string; cause: string; actor: string }) => [e.to, e.cause, e.actor]),
    ).toEqual([
      ['reserved', 'checkout', 'buyer'],
      ['authorized', 'payment_authorized', 'psp'],
      ['confirmed', 'checkout', expect.any(String)],
      ['confirmed', 'payment_captured', 'psp'],
      ['confirmed', 'partially_refunded', by],
      ['confirmed', 'shipment_recorded', by],
      ['shipped', 'shipped', by],
      ['delivered', 'delivered', by],
      ['refunded', 'returned', by],
      ['refunded', 'payment_refunded', 'psp'],
    ]);
  });

  it('money held until the parcel is recorded: taken then, and shipped once it is', async () => {
    const id = await bought(held_sale);
    expect((await look(id)).body).toMatchObject({ capture: 'on_shipment', payments: [{ captured: 0 }] });
    expect([200, 202]).toContain((await ship(id, { carrier: 'JNE' })).status);
    await becomes(id, { state: 'shipped', payments: [{ state: 'captured', captured: 2_000 }] });
    expect((await act(id, 'deliver')).status).toBe(200);
    expect((await giveBack(id)).body.amount).toBe(2_000);
    await becomes(id, { state: 'refunded', payments: [{ state: 'refunded' }], refunded: 2_000 });
  });
});
