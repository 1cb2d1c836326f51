import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { ADDRESS, newKey, SECRET, startTestEngine, type TestEngine } from '../test/support/engine.ts';

const CARD = '4242 4242 4242 4242';

describe('what must not be told', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine();
  });
  afterAll(() => t.stop());

  it('cards reach nothing; tokens, addresses and secrets reach no log and no answer', async () => {
    const sale_id = await t.sale();
    const token = t.buyer();
    const address = { ...ADDRESS, line1: 'canary-street-9b1f', name: 'canary-name-9b1f' };
    const body = {
      sale_id,
      items: [{ sku: 'a', qty: 1 }],
      payment_method: { type: 'card', token: 'canary-token-9b1f' },
      shipping_address: address,
    };
    const told: string[] = [];
    const send = async (change: object, raw?: string) => {
      const answer = await t.call('POST', '/v1/checkout', {
        token,
        key: newKey(),
        body: { ...body, ...change },
        raw,
      });
      told.push(answer.text, JSON.stringify([...answer.headers]));
      return answer;
    };
    expect((await send({})).status).toBe(201);
    for (const field of Object.keys(ADDRESS)) {
      expect((await send({ shipping_address: { ...address, [field]: CARD } })).status).toBe(400);
    }
    expect((await send({ payment_method: { type: 'card', token: CARD.replaceAll(' ', '') } })).status).toBe(
      400,
    );
    expect((await send({ coupon_code: CARD })).status).toBe(400);
    expect((await send({ [CARD]: 1 })).status).toBe(400);
    expect((await send({}, `{"shipping_address": {"line1": "${CARD}"`)).status).toBe(400);

    // A statement that fails shows neither itself nor its values.
    await t.db.query('ALTER TABLE attempts RENAME COLUMN amount TO amount_gone');
    const order_id = JSON.parse(told[0]).order_id;
    await expect
      .poll(async () => (await t.call('GET', `/v1/orders/${order_id}`, { token })).status)
      .toBe(500);
    await t.db.query('ALTER TABLE attempts RENAME COLUMN amount_gone TO amount');

    const logs = t.logged();
    expect(logs).toContain('a request failed');
    for (const text of [logs, told.slice(2).join('\n')]) {
      for (const secret of ['canary', '4242', token, token.split('.')[2], SECRET])
        expect(text).not.toContain(secret);
    }
    expect(told.join('\n')).not.toMatch(/ at .*\.ts:/);
    expect(await everythingIn(t)).not.toMatch(/4242[ -]?4242/);
  });
});

/** Keys and values of this tenant in Redis, and the orders of the ledger. */
async function everythingIn(t: TestEngine): Promise<string> {
  const redis = connectRedis(t.redis_url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  const parts: string[] = [];
  for (const key of await redis.keys(`*${t.tenant}*`)) {
    parts.push(key, (await redis.dumpBuffer(key))?.toString('latin1') ?? '');
  }
  redis.disconnect();
  const { rows } = await t.db.query('SELECT row_to_json(o)::text AS row FROM orders o');
  return [...parts, ...rows.map(({ row }) => row)].join('\n');
}

describe('pages', () => {
  let t: TestEngine;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stampede-pages-'));
    mkdirSync(join(folder, 'styles'));
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>shop</title>');
    writeFileSync(join(folder, 'main.js'), 'export {};');
    writeFileSync(join(folder, 'styles/base.css'), 'body{}');
    writeFileSync(join(folder, 'tsconfig.json'), '{}');
    writeFileSync(join(folder, 'main.ts'), 'secret');
    t = await startTestEngine({ pages: folder });
  });
  afterAll(async () => {
    await t.stop();
    rmSync(folder, { recursive: true });
  });

  it('come from memory, with their type, a policy, and an ETag that is heeded', async () => {
    const page = await t.call('GET', '/');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await t.call('GET', '/styles/base.css')).headers.get('content-type')).toBe(
      'text/css; charset=utf-8',
    );
    expect((await t.call('GET', '/main.js')).text).toBe('export {};');
    const etag = page.headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      expect((await t.call('GET', '/', { headers: { 'if-none-match': known } })).status).toBe(304);
    }
    expect((await t.call('GET', '/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  it.each(['/main.ts', '/tsconfig.json', '/..%2fetc/passwd', '/styles', '/styles/', '/none'])(
    '%s is not one',
    async (path) => {
      expect((await t.call('GET', path)).status).toBe(404);
    },
  );

  it('there is no demo where there is none', async () => {
    expect((await t.call('POST', '/demo/session')).status).toBe(404);
  });
});

describe('the demo', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({ env: { DEMO_SALE: 'demo' } });
  });
  afterAll(() => t.stop());

  it('gives everybody a buyer of their own, whose token counts', async () => {
    const [one, two] = [
      await t.call('POST', '/demo/session'),
      await t.call('POST', '/demo/session', { body: {} }),
    ];
    expect(one.body).toEqual({ token: expect.any(String), sale_id: 'demo' });
    expect(two.body.token).not.toBe(one.body.token);
    const order = await t.call('GET', '/v1/orders/AAAA', { token: one.body.token });
    expect(order.status).toBe(404);
  });
});
