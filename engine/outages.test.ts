import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProviders } from '../payments/providers.ts';
import { loadConfig } from '../platform/config.ts';
import { createLog } from '../platform/log.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { type Answered, newKey, SECRET, startTestEngine, type TestEngine } from '../test/support/engine.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { type OwnRedis, startOwnRedis } from '../test/support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../test/support/tcp-proxy.ts';
import { startEngine } from './engine.ts';

const refusal = ({ status, body }: Answered) => [status, body.code];
const comesBack = (answer: Answered) => expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);

describe('while nobody follows the stream', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine();
  });
  afterAll(() => t.stop());

  it('an order is told from its reservation, to its owner alone; what needs the ledger’s row says come back', async () => {
    const sale_id = await t.sale();
    await t.stopReconciler();
    const token = t.buyer('ada');
    const { order_id, items, amounts, reservation } = (await t.buy(sale_id, { token })).body;
    const told = await t.call('GET', `/v1/orders/${order_id}`, { token });
    expect([told.status, told.body.source, told.body.state]).toEqual([200, 'reservation', 'reserved']);
    expect(told.body).toMatchObject({ order_id, sale_id, items, amounts, payments: [] });
    expect(told.body.reservation.expires_at).toBe(reservation.expires_at);
    expect(Date.parse(told.body.as_of)).toBeGreaterThanOrEqual(Date.parse(reservation.server_time));
    for (const other of [t.buyer('bob'), t.buyer('ada', { tenant: 'other' })]) {
      expect(refusal(await t.call('GET', `/v1/orders/${order_id}`, { token: other }))).toEqual([
        404,
        'not_found',
      ]);
      const strange = await t.call('POST', `/v1/orders/${order_id}/cancel`, { token: other });
      expect(refusal(strange)).toEqual([404, 'not_found']);
    }
    const early = await t.call('POST', '/v1/checkout/confirm', { token, body: { order_id } });
    expect(refusal(early)).toEqual([503, 'unavailable']);
    comesBack(early);
  });
});

describe('while the ledger is away', () => {
  let t: TestEngine;
  let proxy: TcpProxy;
  let sale_id: string;
  beforeAll(async () => {
    const database = new URL(await testDatabase());
    proxy = await startTcpProxy({ host: database.hostname, port: Number(database.port) });
    database.port = String(proxy.port);
    t = await startTestEngine({ database_url: database.href });
    sale_id = await t.sale();
    await proxy.close();
  });
  afterAll(() => t.stop());

  it('it sells, replays, and tells each owner', async () => {
    const [token, key] = [t.buyer(), newKey()];
    const first = await t.buy(sale_id, { token, key });
    expect(first.status).toBe(201);
    expect((await t.buy(sale_id, { token, key })).text).toBe(first.text);
    const told = await t.call('GET', `/v1/orders/${first.body.order_id}`, { token });
    expect([told.status, told.body.source]).toEqual([200, 'reservation']);
    // What is told of stock may be a moment old.
    await expect
      .poll(async () => (await t.call('GET', `/v1/sales/${sale_id}`, { token })).body.items[0].available)
      .toBeLessThan(100);
  });

  it('what only the ledger knows is 503, never 404', async () => {
    const [token, stranger] = [t.buyer(), t.buyer()];
    const { order_id } = (await t.buy(sale_id, { token })).body;
    const answers = [
      await t.call('GET', `/v1/orders/${order_id}`, { token: stranger }),
      await t.call('GET', '/v1/orders/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', { token }),
      await t.call('POST', `/v1/orders/${order_id}/cancel`, { token }),
      await t.call('POST', '/v1/checkout/confirm', { token, body: { order_id } }),
      await t.call('POST', '/v1/payment/initiate', {
        token,
        key: newKey(),
        body: { order_id, payment_method: { type: 'card', token: 'pm_ok' } },
      }),
      await t.call('GET', '/v1/sales/never-seen', { token }),
      await t.call('POST', `/v1/admin/sales/${sale_id}/pause`, { token: t.admin }),
      await t.call('GET', `/v1/admin/sales/${sale_id}/audit`, { token: t.admin }),
    ];
    for (const answer of answers) {
      expect(refusal(answer)).toEqual([503, 'unavailable']);
      comesBack(answer);
    }
  });

  it('it is ready all the same, and says so', async () => {
    expect((await t.call('GET', '/readyz')).body).toEqual({ status: 'ok', ledger: 'away' });
    expect((await t.call('GET', '/metrics')).text).toMatch(/^stampede_ledger_available 0$/m);
  });

  it('an engine that starts meanwhile sells too', async () => {
    const redis = connectRedis(t.redis_url);
    redis.on('error', () => {});
    await redisReady(redis, 5_000);
    const config = loadConfig({ HOST: '127.0.0.1', JWT_SECRET: SECRET });
    const late = await startEngine({
      ...{ config, port: 0, redis, db: t.db, registry: new Registry(), prepared: () => true },
      providers: createProviders({ ...config, psp_sandbox_secret: 'none' }),
      log: createLog({ level: 'silent', service: 'late' }),
      pages: fileURLToPath(new URL('../web/', import.meta.url)),
    });
    const response = await fetch(`http://127.0.0.1:${late.port}/v1/checkout`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${t.buyer()}`,
        'idempotency-key': newKey(),
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        sale_id,
        items: [{ sku: 'a', qty: 1 }],
        payment_method: { type: 'card', token: 'pm_ok' },
        shipping_address: { name: 'A', line1: '1', city: 'C', postal_code: '1', country: 'GB' },
      }),
    });
    expect(response.status).toBe(201);
    await late.close(1_000);
    redis.disconnect();
  });
});

describe('while Redis is away', () => {
  let t: TestEngine;
  let redis: OwnRedis;
  beforeAll(async () => {
    redis = await startOwnRedis();
    t = await startTestEngine({ redis_url: redis.url });
  });
  afterAll(async () => {
    await t.stop();
    await redis.stop();
  });

  it('503 at once, and it goes on by itself when Redis is back, nothing lost and nothing doubled', async () => {
    const sale_id = await t.sale();
    const [token, key] = [t.buyer(), newKey()];
    const first = await t.buy(sale_id, { token, key });
    await redis.kill();
    const started_ms = performance.now();
    const away = await t.buy(sale_id);
    expect(away.status).toBe(503);
    expect(performance.now() - started_ms).toBeLessThan(6_000);
    comesBack(away);
    const ready = await t.call('GET', '/readyz');
    expect([ready.status, ready.body.missing]).toEqual([503, ['redis']]);
    // Stock read just before is shown for a moment longer.
    await expect
      .poll(async () => refusal(await t.call('GET', `/v1/sales/${sale_id}`, { token })))
      .toEqual([503, 'unavailable']);
    expect((await t.call('GET', '/livez')).status).toBe(200);
    await redis.start();
    await expect.poll(async () => (await t.buy(sale_id)).status, { timeout: 15_000 }).toBe(201);
    const replay = await t.buy(sale_id, { token, key });
    expect([replay.text, replay.headers.get('idempotent-replayed')]).toEqual([first.text, 'true']);
  });
});
