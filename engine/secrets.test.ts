import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findSale } from '../ledger/stream/cursor.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { trimStream } from '../reconciler/ingest/trim-stream.ts';
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

describe('contacts, keys of providers, keys of webhooks', () => {
  const KEYS = {
    WEBHOOK_SIGNING_KEY: 'canary-signing-key-9b1f-that-is-long-enough',
    STRIPE_SECRET_KEY: 'sk_test_canary9b1f',
    STRIPE_WEBHOOK_SECRET: 'whsec_canary9b1f',
    MIDTRANS_SERVER_KEY: 'SB-Mid-server-canary9b1f',
    RAZORPAY_KEY_ID: 'rzp_test_canary9b1f',
    RAZORPAY_KEY_SECRET: 'razorpay-canary9b1f',
    RAZORPAY_WEBHOOK_SECRET: 'razorpay-webhook-canary9b1f',
    PAYPAL_CLIENT_ID: 'paypal-client-canary9b1f',
    PAYPAL_CLIENT_SECRET: 'paypal-canary9b1f',
    PAYPAL_WEBHOOK_ID: 'paypal-webhook-canary9b1f',
  };
  const contact = { email: 'canary-mail-9b1f@example.com', phone: '+628129917731' };
  const claims = { email: 'canary-claim-9b1f@example.com', phone_number: '+628129917732' };
  const address = { ...ADDRESS, line1: 'canary-street-9b1f' };
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({ psp: true, workers_log: true, env: KEYS });
  });
  afterAll(() => t.stop());

  it('no log has them; Redis has contacts until the stream is trimmed; keys are nowhere', async () => {
    const sale_id = await t.sale();
    const token = t.buyer(undefined, claims);
    const told: string[] = [];
    const ask = async (method: 'GET' | 'POST', path: string, call: object) => {
      const answer = await t.call(method, path, { key: newKey(), ...call });
      told.push(answer.text, JSON.stringify([...answer.headers]));
      return answer;
    };
    const buy = (payment_token: string, change: object = {}) =>
      ask('POST', '/v1/checkout', {
        token,
        body: {
          ...{ sale_id, items: [{ sku: 'a', qty: 1 }], shipping_address: address },
          ...{ payment_method: { type: 'card', token: payment_token }, ...change },
        },
      });
    const bought = (await buy('pm_ok', { contact })).body.order_id;
    const declined = (await buy('canary-token-9b1f')).body.order_id;
    expect((await buy('pm_ok', { contact: { email: `${contact.email}\r\nBcc: x@y.example` } })).status).toBe(
      400,
    );
    expect((await buy('pm_ok', { contact: { phone: `${contact.phone}99999999` } })).status).toBe(400);

    // Operators and merchants are told what they need, and the secret of an endpoint once.
    const admin = { token: t.admin };
    const hook = { url: 'https://hooks.shop.example/canary-9b1f' };
    const { secret, id } = (await t.call('POST', '/v1/merchant/webhooks', { ...admin, body: hook })).body;
    await t.call('POST', `/v1/merchant/webhooks/${id}/test`, admin);
    const seen = () => t.call('GET', `/v1/orders/${bought}`, { token });
    const stateOf = async (order_id: string) =>
      (await t.call('GET', `/v1/orders/${order_id}`, { token })).body.state;
    await expect
      .poll(async () => (await seen()).body.payments[0]?.state, { timeout: 15_000 })
      .toBe('captured');
    await expect.poll(() => stateOf(declined), { timeout: 15_000 }).toBe('payment_failed');
    const part = { amount: 1, reason: 'canary-reason-9b1f' };
    await t.call('POST', `/v1/admin/orders/${bought}/refund`, { ...admin, key: newKey(), body: part });
    const parcel = { tracking_number: 'canary-parcel-9b1f' };
    await t.call('POST', `/v1/admin/orders/${bought}/ship`, { ...admin, body: parcel });
    expect((await seen()).body.contact).toEqual(contact);

    // The entry at the cursor stays, so another order has to come after.
    const other = t.buyer();
    const last = await t.buy(sale_id, { token: other });
    const place = last.headers.get('location') ?? '';
    await expect.poll(async () => (await t.call('GET', place, { token: other })).body.source).toBe('ledger');
    const contacts = ['canary', contact.phone, claims.phone_number];
    const before = await redisOf(t);
    for (const { email } of [contact, claims]) expect([email, before.includes(email)]).toEqual([email, true]);
    await t.stopReconciler();
    await trimBehindCursor(t, sale_id);
    const redis = await redisOf(t);
    const logs = t.logged();
    expect(logs).toContain('"service":"reconciler"');
    for (const [where, text] of Object.entries({ redis, logs, answers: told.join('\n') })) {
      for (const canary of [...contacts, secret, token.split('.')[2], SECRET]) {
        expect([where, canary, text.includes(canary)]).toEqual([where, canary, false]);
      }
    }
    const ledger = await ledgerOf(t);
    expect(ledger).toContain(contact.email);
    for (const key of [
      ...Object.values(KEYS),
      secret,
      secret.slice(6),
      token.split('.')[2],
      SECRET,
      t.sandbox?.secret,
    ]) {
      expect([key, ledger.includes(String(key))]).toEqual([key, false]);
    }
  });
});

/** What everybody's sale behind the cursor keeps of the stream: the entry at the cursor. */
async function trimBehindCursor(t: TestEngine, sale_id: string): Promise<void> {
  const sale = await findSale(t.db, t.tenant, sale_id);
  if (!sale) throw new Error('no sale');
  const redis = await redisFor(t);
  // Older than nothing: everything behind the cursor.
  expect(await trimStream(redis, sale, -1)).toBeGreaterThan(0);
  redis.disconnect();
}

/** Keys and values of this tenant in Redis, and the orders of the ledger. */
async function everythingIn(t: TestEngine): Promise<string> {
  const { rows } = await t.db.query('SELECT row_to_json(o)::text AS row FROM orders o');
  return [await redisOf(t), ...rows.map(({ row }) => row)].join('\n');
}

async function redisFor(t: TestEngine): Promise<Redis> {
  const redis = connectRedis(t.redis_url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  return redis;
}

async function redisOf(t: TestEngine): Promise<string> {
  const redis = await redisFor(t);
  const parts: string[] = [];
  for (const key of await redis.keys(`*${t.tenant}*`)) parts.push(key, await readKey(redis, key));
  redis.disconnect();
  return parts.join('\n');
}

/** Not by DUMP, which compresses. */
async function readKey(redis: Redis, key: string): Promise<string> {
  const text = (value: unknown): string =>
    Array.isArray(value)
      ? value.map(text).join('\n')
      : Buffer.isBuffer(value)
        ? value.toString('latin1')
        : '';
  switch (await redis.type(key)) {
    case 'string':
      return text(await redis.getBuffer(key));
    case 'hash':
      return text(await redis.callBuffer('HGETALL', key));
    case 'stream':
      return text(await redis.callBuffer('XRANGE', key, '-', '+'));
    default:
      throw new Error(`${key} is of a type that nobody looks into`);
  }
}

/** Every row of every table, the queue's too. */
async function ledgerOf(t: TestEngine): Promise<string> {
  const tables = await t.db.query(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const parts: string[] = [];
  for (const { name } of tables.rows) {
    const { rows } = await t.db.query(`SELECT r::text AS row FROM ${name} r`);
    parts.push(...rows.map(({ row }) => row));
  }
  return parts.join('\n');
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
