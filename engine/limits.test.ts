import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';
import { exchangeRaw } from './testing/raw-http.ts';

describe('a limit per buyer', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({ env: { RATE_LIMIT_BUYER: '0.05' } });
  });
  afterAll(() => t.stop());

  it('counts valid checkouts and locks of one buyer: 429 says when to come back, and takes nothing', async () => {
    const sale_id = await t.sale();
    const token = t.buyer('ada');
    for (let i = 0; i < 5; i++) {
      expect((await t.buy(sale_id, { token, items: [{ sku: 'a', qty: 0 }] })).status).toBe(400);
    }
    expect((await t.buy(sale_id, { token })).status).toBe(201);
    const refused = await t.buy(sale_id, { token });
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    expect(refused.headers.get('retry-after')).toMatch(/^(19|20)$/);
    expect(refused.headers.get('ratelimit-policy')).toBe('"buyer";q=1;w=20');
    expect(refused.headers.get('ratelimit')).toMatch(/^"buyer";r=0;t=\d+$/);
    const body = { sale_id, items: [{ sku: 'a', qty: 1 }] };
    expect((await t.call('POST', '/v1/inventory/lock', { token, key: newKey(), body })).status).toBe(429);
    expect((await t.buy(sale_id, { token: t.buyer('bob') })).status).toBe(201);
    expect((await t.buy(sale_id, { token: t.buyer('ada', { tenant: 'other' }) })).status).toBe(404);
    const sale = await t.call('GET', `/v1/sales/${sale_id}`, { token });
    expect(sale.body.items[0].available).toBe(98);
    expect((await t.call('GET', '/metrics')).text).toMatch(
      /^stampede_rate_limited_total\{limit="buyer"\} 2$/m,
    );
  });
});

describe('a limit per address', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({ env: { RATE_LIMIT_IP: '0.05', TRUSTED_PROXIES: '127.0.0.1' } });
  });
  afterAll(() => t.stop());

  const from = (address: string) =>
    t.call('GET', '/v1/sales/none', { headers: { 'x-forwarded-for': address } });

  it('counts all that an address sends, tokens or not; operations are never limited', async () => {
    expect((await from('203.0.113.9')).status).toBe(404);
    expect((await from('203.0.113.9')).status).toBe(429);
    expect((await from('203.0.113.10')).status).toBe(404);
    for (let i = 0; i < 20; i++) expect((await t.call('GET', '/livez')).status).toBe(200);
  });

  it('is not escaped by what a client writes itself', async () => {
    expect((await from('192.0.2.1, 203.0.113.20')).status).toBe(404);
    expect((await from('192.0.2.2, 203.0.113.20')).status).toBe(429);
  });

  it('a refused request with a body leaves the connection usable', async () => {
    const head = 'Host: a\r\nX-Forwarded-For: 203.0.113.30\r\n';
    const one = `POST /v1/checkout HTTP/1.1\r\n${head}Content-Length: 2\r\n\r\n{}`;
    const { answers } = await exchangeRaw(
      t.port,
      [one.repeat(3), 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'],
      4,
    );
    expect(answers.map((answer) => answer.status)).toEqual([401, 429, 429, 200]);
  });
});

describe('headers that come twice', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine();
  });
  afterAll(() => t.stop());

  it.each([
    [
      'Authorization',
      (token: string) => [`Authorization: Bearer ${token}`, 'Authorization: Bearer a.b.c'],
      401,
    ],
    [
      'Authorization, the same',
      (token: string) => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
      401,
    ],
    [
      'Idempotency-Key',
      (token: string) => [`Authorization: Bearer ${token}`, `Idempotency-Key: ${newKey()}`],
      400,
    ],
  ])('%s: refused, nothing is taken', async (_name, extra, status) => {
    const sale_id = await t.sale();
    const body = JSON.stringify({ sale_id, items: [{ sku: 'a', qty: 1 }] });
    const lines = [
      'POST /v1/inventory/lock HTTP/1.1',
      ...['Host: a', 'Content-Type: application/json', `Content-Length: ${body.length}`],
      `Idempotency-Key: ${newKey()}`,
      ...extra(t.buyer()),
    ];
    const { answers } = await exchangeRaw(t.port, [`${lines.join('\r\n')}\r\n\r\n${body}`]);
    expect(answers[0].status).toBe(status);
    const sale = await t.call('GET', `/v1/sales/${sale_id}`, { token: t.admin });
    expect(sale.body.items[0].available).toBe(100);
  });

  it('clients that go away in mid-request cost nobody anything', async () => {
    const sale_id = await t.sale();
    const token = t.buyer();
    const key = newKey();
    const body = JSON.stringify({ sale_id, items: [{ sku: 'a', qty: 1 }] });
    const head = [
      'POST /v1/inventory/lock HTTP/1.1',
      ...['Host: a', 'Content-Type: application/json', `Content-Length: ${body.length}`],
      ...[`Idempotency-Key: ${key}`, `Authorization: Bearer ${token}`],
    ].join('\r\n');
    const { open } = await import('./testing/raw-http.ts');
    for (let i = 0; i < 50; i++) {
      const socket = await open(t.port);
      // Half of them gone before their body is whole, half after it.
      socket.write(`${head}\r\n\r\n${i % 2 === 0 ? body : body.slice(0, 10)}`);
      await new Promise((resolve) => setTimeout(resolve, i % 5));
      socket.destroy();
    }
    const kept = await t.call('POST', '/v1/inventory/lock', { token, key, raw: body });
    expect(kept.status).toBe(201);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const sale = await t.call('GET', `/v1/sales/${sale_id}`, { token });
    expect(sale.body.items[0].available).toBe(99);
  });
});
