import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});
afterAll(() => t.stop());

const refusal = ({ status, body }: Answered) => [status, body.code];
const admin = (path: string, body?: unknown, key?: string) =>
  t.call('POST', `/v1/admin/sales${path}`, { token: t.admin, body, key });
const available = async (sale_id: string) =>
  (await t.call('GET', `/v1/sales/${sale_id}`, { token: t.admin })).body.items.map(
    (item: { available: number }) => item.available,
  );
const audit = (sale_id: string) => t.call('GET', `/v1/admin/sales/${sale_id}/audit`, { token: t.admin });

describe('POST /v1/admin/sales', () => {
  const items = [{ sku: 'a', name: 'A', unit_price: 1_000, qty: 5 }];

  it('creates, with its defaults, and it sells at once', async () => {
    const id = `new-${newKey()}`;
    const made = await admin('', { id, currency: 'IDR', items });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe(`/v1/sales/${id}`);
    expect(made.body).toEqual({
      ...{
        id,
        state: 'open',
        currency: 'IDR',
        opens_at: null,
        closes_at: null,
        hold_seconds: 600,
        limit_per_buyer: 1,
      },
      server_time: expect.any(String),
      items: [{ ...items[0], available: 5, held: 0 }],
    });
    expect((await t.buy(id)).status).toBe(201);
  });

  it('says where a sale is paid and when; a provider that is not there is refused', async () => {
    const terms = async (id: string) =>
      (await t.db.query({ text: 'SELECT psp, capture FROM sales WHERE id = $1', values: [id] })).rows[0];
    const later = { id: `later-${newKey()}`, currency: 'USD', items, psp: 'sandbox', capture: 'on_shipment' };
    expect((await admin('', later)).status).toBe(201);
    expect(await terms(later.id)).toEqual({ psp: 'sandbox', capture: 'on_shipment' });
    expect((await admin('', { ...later, capture: 'at_once' })).status).toBe(409);
    const plain = { id: `plain-${newKey()}`, currency: 'USD', items };
    expect((await admin('', plain)).status).toBe(201);
    expect((await admin('', { ...plain, capture: 'at_once' })).status).toBe(201);
    expect(await terms(plain.id)).toEqual({ psp: null, capture: 'at_once' });
    const nowhere = await admin('', { ...plain, id: `none-${newKey()}`, psp: 'nobody' });
    expect([nowhere.status, nowhere.body.errors]).toEqual([
      400,
      [{ path: '/psp', message: 'no payment provider nobody is configured here' }],
    ]);
  });

  it('the same body again is 201, however its times and defaults are written; another is 409', async () => {
    const id = `again-${newKey()}`;
    const body = {
      id,
      currency: 'USD',
      opens_at: '2030-01-31T12:00:00Z',
      closes_at: '2030-02-01T12:00:00Z',
      items,
    };
    expect((await admin('', body)).body).toMatchObject({
      state: 'scheduled',
      opens_at: '2030-01-31T12:00:00.000Z',
    });
    expect((await admin('', body)).status).toBe(201);
    const same = {
      ...body,
      opens_at: '2030-01-31T13:00:00.000+01:00',
      hold_seconds: 600,
      limit_per_buyer: 1,
    };
    expect((await admin('', same)).status).toBe(201);
    expect(refusal(await admin('', { ...body, hold_seconds: 601 }))).toEqual([409, 'sale_exists']);
    expect(refusal(await admin('', { ...body, items: [{ ...items[0], qty: 6 }] }))).toEqual([
      409,
      'sale_exists',
    ]);
  });

  it.each([
    [{ closes_at: '2029-01-01T00:00:00Z', opens_at: '2030-01-01T00:00:00Z' }, '/closes_at'],
    [{ items: [items[0], items[0]] }, '/items/1/sku'],
    [{ id: 'a/b' }, '/id'],
    [{ items: [{ ...items[0], name: '4111 1111 1111 1111' }] }, '/items/0/name'],
  ])('%j is refused', async (change, path) => {
    const answer = await admin('', { id: 'bad', currency: 'USD', items, ...change });
    expect([...refusal(answer), answer.body.errors[0].path]).toEqual([400, 'invalid_request', path]);
  });

  it('two at once are one', async () => {
    const body = { id: `once-${newKey()}`, currency: 'USD', items };
    const answers = await Promise.all([1, 2, 3].map(() => admin('', body)));
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201]);
  });
});

describe('stock by operators', () => {
  it('topup adds once per key', async () => {
    const id = await t.sale();
    const key = newKey();
    const body = {
      items: [
        { sku: 'a', qty: 3 },
        { sku: 'b', qty: 1 },
        { sku: 'a', qty: 2 },
      ],
    };
    const added = await admin(`/${id}/topup`, body, key);
    expect(added.body).toEqual({
      id,
      added: [
        { sku: 'a', qty: 5, total: 105 },
        { sku: 'b', qty: 1, total: 101 },
      ],
    });
    const again = await admin(`/${id}/topup`, body, key);
    expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([added.text, 'true']);
    expect(refusal(await admin(`/${id}/topup`, { items: [{ sku: 'a', qty: 9 }] }, key))).toEqual([
      422,
      'idempotency_key_reused',
    ]);
    await expect.poll(() => available(id)).toEqual([105, 101]);
  });

  it('reduce takes at most what is available, says so, once per key', async () => {
    const id = await t.sale();
    await t.buy(id, { items: [{ sku: 'a', qty: 40 }] });
    const key = newKey();
    const body = {
      items: [
        { sku: 'a', qty: 70 },
        { sku: 'b', qty: 10 },
      ],
    };
    const taken = await admin(`/${id}/reduce`, body, key);
    expect(taken.body).toEqual({
      id,
      taken: [
        { sku: 'a', qty: 60 },
        { sku: 'b', qty: 10 },
      ],
    });
    const again = await admin(`/${id}/reduce`, body, key);
    expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([taken.text, 'true']);
    expect(refusal(await admin(`/${id}/reduce`, { items: [{ sku: 'b', qty: 1 }] }, key))).toEqual([
      422,
      'idempotency_key_reused',
    ]);
    expect(refusal(await admin(`/${id}/topup`, body, key))).toEqual([422, 'idempotency_key_reused']);
    await expect.poll(() => available(id)).toEqual([0, 90]);
    await expect
      .poll(async () => (await audit(id)).body.items.map((item: { total: number }) => item.total))
      .toEqual([40, 90]);
    expect((await admin(`/${id}/reduce`, body, key)).text).toBe(taken.text);
  });

  it.each(['topup', 'reduce'])('%s: its refusals', async (action) => {
    const id = await t.sale();
    const items = [{ sku: 'a', qty: 1 }];
    expect(refusal(await admin(`/${id}/${action}`, { items }))).toEqual([400, 'idempotency_key_missing']);
    expect(refusal(await admin(`/${id}/${action}`, { items: [{ sku: 'a', qty: 0 }] }, newKey()))).toEqual([
      400,
      'invalid_request',
    ]);
    const unknown = await admin(`/${id}/${action}`, { items: [{ sku: 'nope', qty: 1 }] }, newKey());
    expect([...refusal(unknown), unknown.body.sku]).toEqual([422, 'unknown_sku', 'nope']);
    expect(refusal(await admin(`/nowhere/${action}`, { items }, newKey()))).toEqual([404, 'not_found']);
    expect(await available(id)).toEqual([100, 100]);
  });
});

describe('GET /v1/admin/sales/{id}/audit', () => {
  it('balances, and agrees with Redis', async () => {
    const id = await t.sale();
    await Promise.all(Array.from({ length: 20 }, () => t.buy(id)));
    await admin(`/${id}/topup`, { items: [{ sku: 'b', qty: 7 }] }, newKey());
    const settled = async () => {
      const { body } = await audit(id);
      return [body.live.kind, body.items[1].available];
    };
    await expect.poll(settled, { timeout: 10_000 }).toEqual(['agrees', 107]);
    const { body } = await audit(id);
    expect(body).toMatchObject({ id, balanced: true, imbalance: 0, fenced_reason: null });
    expect(body.items).toMatchObject([
      { sku: 'a', total: 100, reserved: 20, sold: 0, available: 80, held: 20, available_off: 0, held_off: 0 },
      { sku: 'b', total: 107, available: 107 },
    ]);
  });
});

describe('GET /v1/admin/sales/{id}/certificate', () => {
  const certificate = (id: string, query = '') =>
    t.call('GET', `/v1/admin/sales/${id}/certificate${query}`, { token: t.admin });

  it('of a sale that goes on is refused, or interim', async () => {
    const id = await t.sale();
    await t.buy(id);
    const early = await certificate(id);
    expect(refusal(early)).toEqual([409, 'certificate_not_ready']);
    expect(early.body.missing).toContain('not_closed');
    const { status, body } = await certificate(id, '?interim=true');
    expect([status, body.certificate.interim, body.certificate.sale]).toEqual([200, true, id]);
    const sha256 = createHash('sha256').update(JSON.stringify(body.certificate)).digest('hex');
    expect([body.sha256, body.signature]).toEqual([sha256, null]);
    expect(refusal(await certificate(id, '?interim=perhaps'))).toEqual([400, 'invalid_request']);
    expect(refusal(await certificate('nowhere'))).toEqual([404, 'not_found']);
  });
});

describe('what everybody may see', () => {
  it('a sale and the stock of a SKU, without a token too', async () => {
    const body = {
      id: `open-${newKey()}`,
      currency: 'USD',
      items: [{ sku: 'a', name: 'A', unit_price: 5, qty: 3 }],
    };
    const operator = t.buyer('op', { role: 'admin', tenant: 'default' });
    await t.call('POST', '/v1/admin/sales', { token: operator, body });
    const sale = await t.call('GET', `/v1/sales/${body.id}`);
    expect(sale.body).toMatchObject({ id: body.id, state: 'open', items: [{ sku: 'a', available: 3 }] });
    const stock = await t.call('GET', `/v1/inventory/a?sale_id=${body.id}`);
    expect(stock.body).toMatchObject({ sale_id: body.id, sku: 'a', available: 3, held: 0, unit_price: 5 });
    expect(refusal(await t.call('GET', `/v1/inventory/b?sale_id=${body.id}`))).toEqual([404, 'not_found']);
    expect(refusal(await t.call('GET', '/v1/inventory/a?sale_id=nope'))).toEqual([404, 'not_found']);
    expect(refusal(await t.call('GET', '/v1/inventory/a'))).toEqual([400, 'invalid_request']);
    expect(refusal(await t.call('GET', '/v1/sales/nope'))).toEqual([404, 'not_found']);
  });

  it('a token that is sent must count', async () => {
    const answer = await t.call('GET', '/v1/sales/any', { token: 'a.b.c' });
    expect(refusal(answer)).toEqual([401, 'unauthorized']);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });
});
