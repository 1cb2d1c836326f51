import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADDRESS, newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});
afterAll(() => t.stop());

const body = (sale_id: string, items: unknown = [{ sku: 'a', qty: 1 }]) => ({
  sale_id,
  items,
  payment_method: { type: 'card', token: 'pm_ok' },
  shipping_address: ADDRESS,
});

async function availableOf(sale_id: string): Promise<number[]> {
  // Stock is read at most every 50 ms.
  await new Promise((resolve) => setTimeout(resolve, 60));
  const sale = await t.call('GET', `/v1/sales/${sale_id}`, { token: t.admin });
  return sale.body.items.map((item: { available: number }) => item.available);
}

describe('POST /v1/checkout', () => {
  it('reserves: 201 with Location, amounts and the deadline', async () => {
    const sale_id = await t.sale();
    const bought = await t.buy(sale_id, {
      items: [
        { sku: 'a', qty: 2 },
        { sku: 'b', qty: 1 },
        { sku: 'a', qty: 1 },
      ],
    });
    expect(bought.status).toBe(201);
    expect(bought.headers.get('location')).toBe(`/v1/orders/${bought.body.order_id}`);
    expect(bought.body).toEqual({
      order_id: expect.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
      sale_id,
      state: 'reserved',
      items: [
        { sku: 'a', qty: 3, unit_price: 1000 },
        { sku: 'b', qty: 1, unit_price: 250 },
      ],
      amounts: { currency: 'USD', subtotal: 3250, discount: 0, shipping: 0, tax: 0, total: 3250 },
      reservation: { expires_at: expect.stringMatching(ISO), server_time: expect.stringMatching(ISO) },
    });
    const { expires_at, server_time } = bought.body.reservation;
    expect(Date.parse(expires_at) - Date.parse(server_time)).toBe(600_000);
    expect(await availableOf(sale_id)).toEqual([97, 99]);
  });

  it('the same key and request: the first answer verbatim, marked, and nothing taken', async () => {
    const sale_id = await t.sale();
    const [token, key] = [t.buyer(), newKey()];
    const first = await t.buy(sale_id, { token, key });
    const replay = await t.buy(sale_id, { token, key });
    expect([replay.status, replay.text]).toEqual([201, first.text]);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    const quoted = await t.call('POST', '/v1/checkout', { token, key: `"${key}"`, body: body(sale_id) });
    expect(quoted.text).toBe(first.text);
    const reordered = JSON.stringify(Object.fromEntries(Object.entries(body(sale_id)).reverse()), null, 2);
    expect((await t.call('POST', '/v1/checkout', { token, key, raw: reordered })).text).toBe(first.text);
    expect(await availableOf(sale_id)).toEqual([99, 100]);
  });

  it('the same key with another request: 422; with another buyer: another order', async () => {
    const sale_id = await t.sale();
    const [token, key] = [t.buyer(), newKey()];
    const first = await t.buy(sale_id, { token, key });
    expect((await t.buy(sale_id, { token, key, items: [{ sku: 'a', qty: 2 }] })).body.code).toBe(
      'idempotency_key_reused',
    );
    const lock = await t.call('POST', '/v1/inventory/lock', {
      token,
      key,
      body: { sale_id, items: [{ sku: 'a', qty: 1 }] },
    });
    expect(lock.body.code).toBe('idempotency_key_reused');
    const other = await t.buy(sale_id, { key });
    expect(other.status).toBe(201);
    expect(other.body.order_id).not.toBe(first.body.order_id);
  });

  it('sold out, held, over the limit: each in its words', async () => {
    const sale_id = await t.sale({
      limit_per_buyer: 2,
      items: [
        { sku: 'a', name: 'A', unit_price: 1, qty: 2 },
        { sku: 'b', name: 'B', unit_price: 1, qty: 5 },
      ],
    });
    const over = await t.buy(sale_id, { items: [{ sku: 'b', qty: 3 }] });
    expect([over.status, over.body.code, over.body.limit, over.body.held]).toEqual([
      422,
      'purchase_limit_reached',
      2,
      0,
    ]);
    expect((await t.buy(sale_id, { items: [{ sku: 'a', qty: 2 }] })).status).toBe(201);
    const held = await t.buy(sale_id);
    expect([held.status, held.body.code]).toEqual([409, 'temporarily_held']);
    expect(held.body.short).toEqual([{ sku: 'a', requested: 1, available: 0 }]);
    expect(Date.parse(held.body.earliest_release_at)).toBeGreaterThan(Date.now() - 1_000);
    const wait = Number(held.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(590);
    expect(wait).toBeLessThanOrEqual(601);
    expect(await availableOf(sale_id)).toEqual([0, 5]);
  });

  it('unknown SKU, unknown sale, a sale of another tenant', async () => {
    const sale_id = await t.sale();
    const unknown = await t.buy(sale_id, { items: [{ sku: 'nope', qty: 1 }] });
    expect([unknown.status, unknown.body.code, unknown.body.sku]).toEqual([422, 'unknown_sku', 'nope']);
    const none = await t.buy('no-such-sale');
    expect([none.status, none.body.code]).toEqual([404, 'not_found']);
    const elsewhere = await t.buy(sale_id, { token: t.buyer('x', { tenant: 'other' }) });
    expect(without(elsewhere.body, 'request_id')).toEqual(without(none.body, 'request_id'));
  });

  it('gates: not open yet, paused, closed', async () => {
    const opens_at = new Date(Date.now() + 3_600_000).toISOString();
    const sale_id = await t.sale({ opens_at });
    const early = await t.buy(sale_id);
    expect([early.status, early.body.code, early.body.opens_at]).toEqual([403, 'sale_not_open', opens_at]);
    const gate = (action: string) =>
      t.call('POST', `/v1/admin/sales/${sale_id}/${action}`, { token: t.admin });
    expect((await gate('open')).body).toMatchObject({ id: sale_id, state: 'open' });
    const [token, key] = [t.buyer(), newKey()];
    const first = await t.buy(sale_id, { token, key });
    expect(first.status).toBe(201);
    expect((await gate('pause')).body.state).toBe('paused');
    const paused = await t.buy(sale_id);
    expect([paused.status, paused.body.code]).toEqual([503, 'sale_paused']);
    expect(Number(paused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await t.buy(sale_id, { token, key })).text).toBe(first.text);
    expect((await gate('resume')).status).toBe(200);
    expect((await gate('resume')).status).toBe(200);
    expect((await gate('close')).body.state).toBe('closed');
    const closed = await t.buy(sale_id);
    expect([closed.status, closed.body.code]).toEqual([403, 'sale_closed']);
    const again = await gate('open');
    expect([again.status, again.body.code, again.body.state]).toEqual([409, 'invalid_state', 'closed']);
  });
});

describe('refusals before the handler take no stock', () => {
  it.each<[string, (id: string) => Parameters<TestEngine['call']>[2], number, string]>([
    ['no token', (id) => ({ key: newKey(), body: body(id) }), 401, 'unauthorized'],
    ['no key', (id) => ({ token: t.buyer(), body: body(id) }), 400, 'idempotency_key_missing'],
    [
      'a short key',
      (id) => ({ token: t.buyer(), key: 'short', body: body(id) }),
      400,
      'idempotency_key_invalid',
    ],
    [
      'a long key',
      (id) => ({ token: t.buyer(), key: 'k'.repeat(256), body: body(id) }),
      400,
      'idempotency_key_invalid',
    ],
    [
      'a key with a space',
      (id) => ({ token: t.buyer(), key: 'key with spaces in it', body: body(id) }),
      400,
      'idempotency_key_invalid',
    ],
    [
      'half a quoted key',
      (id) => ({ token: t.buyer(), key: `"${newKey()}`, body: body(id) }),
      400,
      'idempotency_key_invalid',
    ],
    ['broken JSON', () => ({ token: t.buyer(), key: newKey(), raw: '{"sale_id":' }), 400, 'invalid_request'],
    ['an empty body', () => ({ token: t.buyer(), key: newKey(), raw: '' }), 400, 'invalid_request'],
    [
      'no UTF-8',
      () => ({ token: t.buyer(), key: newKey(), raw: Buffer.from([0x7b, 0xff, 0x7d]) }),
      400,
      'invalid_request',
    ],
    ['an array', () => ({ token: t.buyer(), key: newKey(), raw: '[]' }), 400, 'invalid_request'],
    [
      'deep nesting',
      () => ({ token: t.buyer(), key: newKey(), raw: '['.repeat(8_000) }),
      400,
      'invalid_request',
    ],
    [
      'another media type',
      (id) => ({
        token: t.buyer(),
        key: newKey(),
        body: body(id),
        headers: { 'content-type': 'text/plain' },
      }),
      415,
      'unsupported_media_type',
    ],
    [
      'another charset',
      (id) => ({
        token: t.buyer(),
        key: newKey(),
        body: body(id),
        headers: { 'content-type': 'application/json; charset=latin1' },
      }),
      415,
      'unsupported_media_type',
    ],
    [
      '17 KiB',
      (id) => ({ token: t.buyer(), key: newKey(), raw: JSON.stringify(body(id)) + ' '.repeat(17_000) }),
      413,
      'payload_too_large',
    ],
    [
      'qty "1"',
      (id) => ({ token: t.buyer(), key: newKey(), body: body(id, [{ sku: 'a', qty: '1' }]) }),
      400,
      'invalid_request',
    ],
    [
      'qty 0',
      (id) => ({ token: t.buyer(), key: newKey(), body: body(id, [{ sku: 'a', qty: 0 }]) }),
      400,
      'invalid_request',
    ],
    [
      'qty 1e9',
      (id) => ({ token: t.buyer(), key: newKey(), body: body(id, [{ sku: 'a', qty: 1e9 }]) }),
      400,
      'invalid_request',
    ],
    [
      'a price',
      (id) => ({ token: t.buyer(), key: newKey(), body: { ...body(id), price: 1 } }),
      400,
      'invalid_request',
    ],
    [
      'a coupon',
      (id) => ({ token: t.buyer(), key: newKey(), body: { ...body(id), coupon_code: 'X' } }),
      400,
      'invalid_request',
    ],
  ])('%s', async (_what, request, status, code) => {
    const sale_id = await t.sale();
    const answer = await t.call('POST', '/v1/checkout', request(sale_id));
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body.request_id).toBe(answer.headers.get('request-id'));
    if (code === 'invalid_request')
      expect(answer.body.errors[0]).toEqual({ path: expect.any(String), message: expect.any(String) });
    expect(await availableOf(sale_id)).toEqual([100, 100]);
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"'])(
    '%s is JSON',
    async (type) => {
      const sale_id = await t.sale();
      expect((await t.buy(sale_id, { headers: { 'content-type': type } })).status).toBe(201);
    },
  );
});

describe('POST /v1/inventory/lock', () => {
  it('reserves in the same shape, and replays', async () => {
    const sale_id = await t.sale();
    const request = { token: t.buyer(), key: newKey(), body: { sale_id, items: [{ sku: 'b', qty: 2 }] } };
    const first = await t.call('POST', '/v1/inventory/lock', request);
    expect([first.status, first.body.amounts.total]).toEqual([201, 500]);
    expect((await t.call('POST', '/v1/inventory/lock', request)).text).toBe(first.text);
    expect(await availableOf(sale_id)).toEqual([100, 98]);
  });

  it('takes no payment method: that is a field of another road', async () => {
    const sale_id = await t.sale();
    const answer = await t.call('POST', '/v1/inventory/lock', {
      token: t.buyer(),
      key: newKey(),
      body: body(sale_id),
    });
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual([
      '/payment_method',
      '/shipping_address',
    ]);
  });
});

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function without(value: Record<string, unknown>, name: string): Record<string, unknown> {
  const { [name]: _, ...rest } = value;
  return rest;
}
