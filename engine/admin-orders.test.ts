import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
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
// A test that fails must not leave its provider down for the next.
afterEach(() => t.sandbox?.admin('faults', { faults: [] }));

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

describe('POST .../refund', () => {
  it('of everything: refunded once per key; the same answer again, another body under the key is refused', async () => {
    const sale = await t.sale();
    const id = await bought(sale);
    const key = newKey();
    const first = await refund(id, { restock: true }, key);
    expect([first.status, first.body]).toEqual([
      200,
      {
        ...{ order_id: id, state: 'refunded', refund_id: null, amount: 2_000, currency: 'USD' },
        ...{ reason: null, restocked: true },
      },
    ]);
    for (const body of [{ restock: true }, { restock: true }]) {
      const again = await refund(id, body, key);
      expect([again.status, again.text]).toEqual([200, first.text]);
      expect(again.headers.get('idempotent-replayed')).toBe('true');
    }
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(refusal(await refund(id, {}, key))).toEqual([422, 'idempotency_key_reused']);
    expect(refusal(await giveBack(id, { restock: true }, key))).toEqual([422, 'idempotency_key_reused']);
    const topup = { items: [{ sku: 'a', qty: 1 }] };
    const elsewhere = await t.call('POST', `/v1/admin/sales/${sale}/topup`, {
      token: t.admin,
      key,
      body: topup,
    });
    expect(refusal(elsewhere)).toEqual([422, 'idempotency_key_reused']);
    const twice = await refund(id);
    expect([...refusal(twice), twice.body.state]).toEqual([409, 'invalid_state', 'refunded']);
    await becomes(id, { refunded: 2_000, payments: [{ state: 'refunded' }] });
    await expect.poll(() => stock(sale)).toMatchObject({ available: 100, sold: 0, live: 'agrees' });
  });

  it('without restock the units stay sold', async () => {
    const sale = await t.sale();
    const id = await bought(sale);
    expect((await refund(id)).body.restocked).toBe(false);
    await becomes(id, { refunded: 2_000 });
    expect(await stock(sale)).toMatchObject({ available: 98, sold: 2, balanced: true });
  });

  it('many at once under many keys refund it once, under one key each is told the same', async () => {
    const id = await bought();
    const keys = [newKey(), newKey()];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => refund(id, { restock: true }, keys[i % 2])),
    );
    const done = answers.filter(({ status }) => status === 200);
    expect(answers.map(({ status }) => status).sort()).toEqual([
      ...Array(6).fill(200),
      ...Array(6).fill(409),
    ]);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    expect(done.filter(({ headers }) => !headers.has('idempotent-replayed'))).toHaveLength(1);
    const movements = await t.db.query({
      text: 'SELECT sum(to_available)::int AS units FROM movements WHERE order_id = $1',
      values: [id],
    });
    expect(movements.rows[0].units).toBe(2);
  });

  it('a part: more than is left says what is left; all that is left ends the order', async () => {
    const id = await bought();
    const more = await refund(id, { amount: 2_001 });
    expect([...refusal(more), more.body.left, more.body.currency]).toEqual([
      422,
      'refund_too_large',
      2_000,
      'USD',
    ]);
    const key = newKey();
    const part = await refund(id, { amount: 1_999 }, key);
    await becomes(id, { state: 'confirmed', refunded: 1_999, refunds: [{ state: 'done' }] });
    const again = await refund(id, { amount: 1_999 }, key);
    expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([
      202,
      part.text,
      'true',
    ]);
    expect((await refund(id, { amount: 2 })).body.left).toBe(1);
    expect((await refund(id, { amount: 1 })).body).toMatchObject({
      state: 'refunded',
      refund_id: null,
      amount: 1,
    });
    await becomes(id, { state: 'refunded', refunded: 2_000 });
    expect((await look(id)).body.refunds).toHaveLength(1);
  });

  it('while a part is under way nothing else goes back; a refusal leaves its key free', async () => {
    const id = await bought();
    await t.sandbox?.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
    expect((await refund(id, { amount: 100 })).status).toBe(202);
    const key = newKey();
    for (const body of [{ amount: 100 }, {}, { amount: 1_900 }, { amount: 2_000 }]) {
      const answer = await refund(id, body, key);
      expect([...refusal(answer), answer.body.state]).toEqual([409, 'invalid_state', 'confirmed']);
    }
    await t.sandbox?.admin('faults', { faults: [] });
    await becomes(id, { refunds: [{ state: 'done' }] });
    expect((await refund(id, {}, key)).body).toMatchObject({ state: 'refunded', amount: 1_900 });
    await becomes(id, { refunded: 2_000 });
  });

  it('of money that is only held: all of it is released, a part of it cannot be given back', async () => {
    const id = await bought(held_sale);
    const part = await refund(id, { amount: 1 });
    expect([...refusal(part), part.body.state]).toEqual([409, 'invalid_state', 'confirmed']);
    expect((await refund(id, { amount: 2_001 })).body).toMatchObject({
      code: 'refund_too_large',
      left: 2_000,
    });
    expect((await refund(id, { amount: 2_000, restock: true })).body).toMatchObject({
      state: 'refunded',
      amount: 2_000,
    });
    await becomes(id, { payments: [{ state: 'voided', captured: 0, refunded: 0 }], refunded: 0 });
  });

  it('of an order that is not paid for, or over: 409 with its state', async () => {
    const token = t.buyer();
    const { order_id } = (await t.buy(sale_id, { token })).body;
    await becomes(order_id, { state: 'confirmed' });
    await t.call('POST', `/v1/orders/${order_id}/cancel`, { token });
    const canceled = await refund(order_id);
    expect([...refusal(canceled), canceled.body.state]).toEqual([409, 'invalid_state', 'canceled']);
    const body = { sale_id, items: [{ sku: 'a', qty: 1 }] };
    const locked = (await t.call('POST', '/v1/inventory/lock', { token, key: newKey(), body })).body.order_id;
    await becomes(locked, { state: 'reserved' });
    for (const answer of [
      await refund(locked),
      await giveBack(locked),
      await ship(locked),
      await act(locked, 'deliver'),
    ]) {
      expect([...refusal(answer), answer.body.state]).toEqual([409, 'invalid_state', 'reserved']);
    }
  });

  it.each([
    [{ amount: 0 }, '/amount'],
    [{ amount: -1 }, '/amount'],
    [{ amount: 1.5 }, '/amount'],
    [{ amount: '5' }, '/amount'],
    [{ amount: null }, '/amount'],
    [{ amount: 1e20 }, '/amount'],
    [{ amount: 1, restock: true }, '/restock'],
    [{ reason: '' }, '/reason'],
    [{ reason: 'a\nb' }, '/reason'],
    [{ reason: 'card 4111 1111 1111 1111' }, '/reason'],
    [{ reason: 'x'.repeat(301) }, '/reason'],
    [{ state: 'refunded' }, '/state'],
    [{ buyer: 'me' }, '/buyer'],
    [{ tenant: 'other' }, '/tenant'],
    [{ actor: 'operator:boss' }, '/actor'],
  ])('%j is refused and changes nothing', async (body, path) => {
    refused_on ??= await bought();
    const answer = await refund(refused_on, body);
    expect([...refusal(answer), answer.body.errors[0].path]).toEqual([400, 'invalid_request', path]);
    expect((await look(refused_on)).body).toMatchObject({ state: 'confirmed', refunded: 0, refunds: [] });
  });

  it('needs a key, as a return does', async () => {
    const id = await bought();
    for (const action of ['refund', 'return']) {
      expect(refusal(await act(id, action, {}))).toEqual([400, 'idempotency_key_missing']);
      expect(refusal(await act(id, action, {}, 'short'))).toEqual([400, 'idempotency_key_invalid']);
    }
  });
});
let refused_on: string | undefined;

describe('POST .../ship, .../deliver and .../return', () => {
  it('the same parcel again is the same answer, another one is refused', async () => {
    const id = await bought();
    const parcel = { carrier: 'JNE', tracking_number: 'JX 1', tracking_url: 'https://track.example/JX1?a=b' };
    const first = await ship(id, parcel);
    const again = await ship(id, parcel);
    expect([again.status, again.body.shipment]).toEqual([200, first.body.shipment]);
    expect(again.body.history).toEqual(first.body.history);
    for (const other of [{ ...parcel, tracking_number: 'JX 2' }, { carrier: 'JNE' }, {}]) {
      expect(refusal(await ship(id, other))).toEqual([409, 'shipment_exists']);
    }
    expect((await act(id, 'deliver')).body.state).toBe('delivered');
    expect((await ship(id, parcel)).body.state).toBe('delivered');
    expect((await act(id, 'deliver')).body.state).toBe('delivered');
    expect((await refund(id)).status).toBe(200);
    const late = await ship(id, parcel);
    expect([...refusal(late), late.body.state]).toEqual([409, 'invalid_state', 'refunded']);
    expect(refusal(await act(id, 'deliver'))).toEqual([409, 'invalid_state']);
  });

  it('while the money cannot be taken: 202 and not shipped; shipped by itself when it can', async () => {
    const id = await bought(held_sale);
    await t.sandbox?.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
    const parcel = { carrier: 'JNE' };
    const answers = [await ship(id, parcel), await ship(id, parcel)];
    expect(answers.map(({ status, body }) => [status, body.state, body.shipment.carrier])).toEqual([
      [202, 'confirmed', 'JNE'],
      [202, 'confirmed', 'JNE'],
    ]);
    expect(refusal(await act(id, 'deliver'))).toEqual([409, 'invalid_state']);
    expect(refusal(await giveBack(id))).toEqual([409, 'invalid_state']);
    await t.sandbox?.admin('faults', { faults: [] });
    await becomes(id, { state: 'shipped', payments: [{ state: 'captured' }] });
    expect((await ship(id, parcel)).status).toBe(200);
  });

  it('refunded while its parcel waits for the money: never shipped, the hold is released', async () => {
    const id = await bought(held_sale);
    await t.sandbox?.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
    expect((await ship(id, {})).status).toBe(202);
    expect((await refund(id, { restock: true })).status).toBe(200);
    await t.sandbox?.admin('faults', { faults: [] });
    await becomes(id, { state: 'refunded', payments: [{ state: expect.stringMatching(/voided|refunded/) }] });
    expect((await look(id)).body.history.some(({ to }: { to: string }) => to === 'shipped')).toBe(false);
  });

  it('when the provider has let the money go: 409, before and after the parcel was recorded; a refund ends it', async () => {
    const [before, after] = [await bought(held_sale), await bought(held_sale)];
    await t.sandbox?.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
    expect((await ship(after, {})).status).toBe(202);
    await t.db.query({
      text: `UPDATE attempts SET state = 'voided' WHERE order_id = ANY ($1)`,
      values: [[before, after]],
    });
    await t.sandbox?.admin('faults', { faults: [] });
    for (const id of [before, after]) {
      const answer = await ship(id, {});
      expect([...refusal(answer), answer.body.state]).toEqual([409, 'invalid_state', 'confirmed']);
      expect(answer.body.detail).toContain('money is gone');
      expect((await refund(id, { restock: true })).body).toMatchObject({ state: 'refunded', amount: 0 });
    }
    expect((await look(before)).body.shipment).toBeNull();
  });

  it('a return only of what was shipped, once', async () => {
    const id = await bought();
    const early = await giveBack(id);
    expect([...refusal(early), early.body.state]).toEqual([409, 'invalid_state', 'confirmed']);
    await ship(id, {});
    const key = newKey();
    const first = await giveBack(id, { restock: false }, key);
    expect(first.body).toMatchObject({ state: 'refunded', amount: 2_000, restocked: false });
    const again = await giveBack(id, { restock: false }, key);
    expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([first.text, 'true']);
    expect(refusal(await giveBack(id, {}, key))).toEqual([422, 'idempotency_key_reused']);
    const twice = await giveBack(id);
    expect([...refusal(twice), twice.body.state]).toEqual([409, 'invalid_state', 'refunded']);
  });

  it.each([
    [{ tracking_url: 'javascript:alert(1)' }, '/tracking_url'],
    [{ tracking_url: 'data:text/html,x' }, '/tracking_url'],
    [{ tracking_url: 'ftp://a.example/' }, '/tracking_url'],
    [{ tracking_url: '//a.example/' }, '/tracking_url'],
    [{ tracking_url: 'https:a.example' }, '/tracking_url'],
    [{ tracking_url: 'https://shop.example@evil.example/' }, '/tracking_url'],
    [{ tracking_url: ' https://a.example/' }, '/tracking_url'],
    [{ tracking_url: 'https://a.example/\n' }, '/tracking_url'],
    [{ tracking_url: `https://a.example/${'x'.repeat(500)}` }, '/tracking_url'],
    [{ carrier: 7 }, '/carrier'],
    [{ tracking_number: '' }, '/tracking_number'],
    [{ state: 'delivered' }, '/state'],
  ])('a parcel %j is refused', async (body, path) => {
    refused_on ??= await bought();
    const answer = await ship(refused_on, body);
    expect([...refusal(answer), answer.body.errors[0].path]).toEqual([400, 'invalid_request', path]);
    expect((await look(refused_on)).body).toMatchObject({ state: 'confirmed', shipment: null });
  });
});

describe('GET /v1/admin/orders', () => {
  const list = (query: string, token = t.admin) => t.call('GET', `/v1/admin/orders${query}`, { token });
  const ids = ({ body }: Answered) => body.orders.map(({ order_id }: { order_id: string }) => order_id);

  it('pages through the orders, newest first, each once, whatever comes meanwhile', async () => {
    const sale = await t.sale();
    const bought: string[] = [];
    for (let i = 0; i < 7; i++) bought.unshift((await t.buy(sale)).body.order_id);
    await expect.poll(async () => ids(await list(`?sale_id=${sale}`))).toEqual(bought);
    const found: string[] = [];
    let cursor = '';
    do {
      const page = await list(`?sale_id=${sale}&limit=3${cursor && `&cursor=${cursor}`}`);
      found.push(...ids(page));
      cursor = page.body.next_cursor ?? '';
      if (found.length === 3) await t.buy(sale);
    } while (cursor);
    expect(found).toEqual(bought);
    const [first] = (await list(`?sale_id=${sale}&limit=1`)).body.orders;
    expect(first).toMatchObject({ sale_id: sale, currency: 'USD', total: 1_000, buyer: expect.any(String) });
  });

  it('by state, also of holds that are over and not swept yet', async () => {
    const sale = await t.sale();
    const { order_id } = (await t.buy(sale)).body;
    await becomes(order_id, { state: 'confirmed' });
    expect(ids(await list(`?sale_id=${sale}&state=confirmed`))).toEqual([order_id]);
    expect(ids(await list(`?sale_id=${sale}&state=shipped`))).toEqual([]);
    expect(ids(await list('?state=confirmed&limit=100'))).toContain(order_id);
    expect((await list('?sale_id=nowhere')).body).toEqual({ orders: [], next_cursor: null });
  });

  it.each([
    ['?state=lost', '/state'],
    ['?limit=0', '/limit'],
    ['?limit=101', '/limit'],
    ['?limit=1e1', '/limit'],
    ['?limit=-1', '/limit'],
    ['?cursor=nonsense', '/cursor'],
    ['?cursor=%27%20OR%201=1', '/cursor'],
    ['?sale_id=a/b', '/sale_id'],
    ['?tenant=other', '/tenant'],
    ['?limit=1&limit=2', ''],
  ])('%s is refused', async (query, path) => {
    const answer = await list(query);
    expect([...refusal(answer), answer.body.errors[0].path]).toEqual([400, 'invalid_request', path]);
  });
});

describe('who may', () => {
  const routes = (id: string): [string, string, object?][] => [
    ['GET', '/v1/admin/orders'],
    ['GET', `/v1/admin/orders/${id}`],
    ['POST', `/v1/admin/orders/${id}/refund`, { amount: 1 }],
    ['POST', `/v1/admin/orders/${id}/ship`, {}],
    ['POST', `/v1/admin/orders/${id}/deliver`, {}],
    ['POST', `/v1/admin/orders/${id}/return`, {}],
  ];
  const ask = ([method, path, body]: [string, string, object?], token?: string) =>
    t.call(method as 'GET', path, { token, body, key: newKey() });

  it('nobody but an admin: 401 without a token that counts, 403 with another role', async () => {
    const id = await bought();
    const [head, body, signature] = t.admin.split('.');
    const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const forged = [
      undefined,
      'nonsense',
      `${b64({ alg: 'none' })}.${body}.`,
      `${head}.${b64({ ...claims, tenant: 'other' })}.${signature}`,
      `${t.buyer().split('.').slice(0, 2).join('.')}.${signature}`,
      t.buyer('operator', { role: 'admin', exp: 1 }),
      t.buyer('operator', { role: 'admin', aud: 'elsewhere' }),
      t.buyer('operator', { role: 'ADMIN' }),
    ];
    for (const route of routes(id)) {
      for (const token of forged) expect(refusal(await ask(route, token))).toEqual([401, 'unauthorized']);
      for (const role of ['buyer', 'merchant', undefined]) {
        expect(refusal(await ask(route, t.buyer('operator', { role })))).toEqual([403, 'forbidden']);
      }
    }
    expect((await look(id)).body).toMatchObject({ state: 'confirmed', shipment: null, refunds: [] });
  });

  it('an admin of another tenant gets the same 404 as for what does not exist, and an empty list', async () => {
    const id = await bought();
    const other = t.buyer('operator', { role: 'admin', tenant: `${t.tenant}-2` });
    const bodies = new Set<string>();
    for (const [token, named] of [
      [other, id],
      [t.admin, `${id.slice(0, -4)}AAAA`],
      [t.admin, 'nope'],
      [t.admin, '%00'],
    ]) {
      for (const route of routes(named).slice(1)) {
        const { status, body } = await ask(route, token);
        const { request_id: _, ...rest } = body;
        bodies.add(JSON.stringify([status, rest]));
      }
    }
    expect([...bodies]).toHaveLength(1);
    expect([...bodies][0]).toContain('"not_found"');
    const cursor = (await t.call('GET', '/v1/admin/orders?limit=1', { token: t.admin })).body.next_cursor;
    for (const query of ['', `?sale_id=${sale_id}`, `?cursor=${cursor}`]) {
      const answer = await t.call('GET', `/v1/admin/orders${query}`, { token: other });
      expect(answer.body).toEqual({ orders: [], next_cursor: null });
    }
    expect((await look(id)).body).toMatchObject({ state: 'confirmed', shipment: null, refunds: [] });
  });

  it('two shops with a sale of the same name: each admin sees and refunds its own, under the same key too', async () => {
    const tenant = `${t.tenant}-2`;
    const other = t.buyer('operator', { role: 'admin', tenant });
    const body = {
      ...{ id: sale_id, currency: 'USD', limit_per_buyer: 0 },
      items: [{ sku: 'a', name: 'A', unit_price: 700, qty: 5 }],
    };
    expect((await t.call('POST', '/v1/admin/sales', { token: other, body })).status).toBe(201);
    const mine = await bought();
    const theirs = (await t.buy(sale_id, { token: t.buyer(undefined, { tenant }) })).body.order_id;
    const paid = async () => (await look(theirs, other)).body.payments?.[0]?.state;
    await expect.poll(paid, { timeout: 15_000 }).toBe('captured');
    const listed = async (token: string) =>
      (await t.call('GET', `/v1/admin/orders?sale_id=${sale_id}&limit=100`, { token })).body.orders.map(
        ({ order_id }: { order_id: string }) => order_id,
      );
    expect(await listed(other)).toEqual([theirs]);
    expect(await listed(t.admin)).toContain(mine);
    expect(await listed(t.admin)).not.toContain(theirs);
    const key = newKey();
    expect(refusal(await refund(theirs, {}, key))).toEqual([404, 'not_found']);
    expect(refusal(await act(mine, 'refund', {}, key, other))).toEqual([404, 'not_found']);
    expect((await refund(mine, {}, key)).body.amount).toBe(2_000);
    const own = await act(theirs, 'refund', {}, key, other);
    expect([own.body.amount, own.headers.get('idempotent-replayed')]).toEqual([700, null]);
  });

  it('a path that names nothing that could be there is a 404 everywhere, and asks no store', async () => {
    for (const named of ['%00', 'a%00b', '%ff', '%2f', '..%2f..', 'a%20b', 'x'.repeat(65)]) {
      for (const path of [`/v1/orders/${named}`, `/v1/sales/${named}`, `/v1/admin/sales/${named}/audit`]) {
        expect(refusal(await t.call('GET', path, { token: t.admin }))).toEqual([404, 'not_found']);
      }
      const stock = await t.call('GET', `/v1/inventory/a?sale_id=${named}`, { token: t.admin });
      expect(refusal(stock)).toEqual([404, 'not_found']);
    }
  });

  it('the buyer sees what was done and not who did it, nor why; the history in SQL says who', async () => {
    const token = t.buyer();
    const id = await bought(sale_id, { token });
    const boss = t.buyer('boss@shop.example', { role: 'admin' });
    await act(id, 'ship', { carrier: 'JNE' }, undefined, boss);
    await act(id, 'return', { reason: 'suspected fraud' }, newKey(), boss);
    const seen = await t.call('GET', `/v1/orders/${id}`, { token });
    expect(seen.body).toMatchObject({ state: 'refunded', shipment: { carrier: 'JNE' } });
    expect(seen.body.history.at(-1)).toMatchObject({ to: 'refunded' });
    expect(seen.body.history.map(({ actor }: { actor: string }) => actor)).toContain('operator');
    expect(seen.text).not.toMatch(/boss|fraud|psp_ref/);
    const { rows } = await t.db.query({
      text: `SELECT tenant, sale, from_state, to_state, cause, actor FROM order_history
        WHERE order_id = $1 AND cause IN ('shipped', 'returned') ORDER BY event`,
      values: [id],
    });
    const by = { tenant: t.tenant, sale: sale_id, actor: 'operator:boss@shop.example' };
    expect(rows).toEqual([
      { ...by, from_state: 'confirmed', to_state: 'shipped', cause: 'shipped' },
      { ...by, from_state: 'shipped', to_state: 'refunded', cause: 'returned' },
    ]);
    expect((await look(id)).body).toMatchObject({
      refund_reason: 'suspected fraud',
      buyer: expect.any(String),
    });
    expect(t.logged()).not.toMatch(/boss@|fraud|12 St James/);
  });
});
