/** The checkout core against a Redis of its own that is reset, stopped, flushed of scripts and re-verified. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dayOf, encodeOrderId } from '../../domain/ids.ts';
import { BATCH_REQUESTS_MAX, PENDING_RESERVATIONS_MAX } from '../../domain/limits.ts';
import { saleKeys } from '../../lua/keys.ts';
import { apply, reduce } from '../../lua/scripts.ts';
import { connect, openTestSale, openVerified, type TestSale } from '../../lua/testing/sale.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../test/support/tcp-proxy.ts';
import { createSaleDirectory } from '../sales/directory.ts';
import { readSale } from '../sales/read-sale.ts';
import type { Sale } from '../sales/sale.ts';
import type { BatchObserver } from './batcher.ts';
import { createFindReservation } from './find-reservation.ts';
import type { Reserve, ReserveOutcome } from './port.ts';
import { createReserve } from './reserve.ts';

let server: OwnRedis;
let proxy: TcpProxy;
let admin: Redis;
beforeAll(async () => {
  server = await startOwnRedis();
  proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
  admin = connect(server.url);
});
afterAll(async () => {
  await admin.quit();
  await proxy.close();
  await server.stop();
});

let redis: Redis;
let sizes: number[];
let failures: unknown[];
const observe: BatchObserver = {
  batch: (size) => sizes.push(size),
  pending: () => undefined,
  failed: (error) => failures.push(error),
};
beforeEach(async () => {
  sizes = [];
  failures = [];
  redis = connectRedis(`redis://127.0.0.1:${proxy.port}`);
  redis.on('error', () => undefined);
  await redisReady(redis, 5_000);
});
afterEach(() => {
  redis.disconnect();
  expect(failures).toEqual([]);
});

async function open(qty: number, limit = 0): Promise<{ sale: Sale; loaded: TestSale }> {
  const loaded = await openTestSale(admin, { tenant: 'default', items: [{ sku: 'a', qty }, { sku: 'b', qty }], limit }); // biome-ignore format: one line
  const sale = await readSale(admin, 'default', loaded.token.sale);
  if (!sale) throw new Error('no sale');
  return { sale, loaded };
}

function buy(
  reserve: Reserve,
  sale: Sale,
  more: { buyer?: string; key?: string; qty?: number; fingerprint?: () => Buffer } = {},
): Promise<ReserveOutcome> {
  const { buyer = randomBytes(6).toString('hex'), key = randomBytes(12).toString('hex'), qty = 1 } = more;
  return reserve({
    sale,
    buyer,
    key,
    fingerprint: more.fingerprint ?? (() => Buffer.alloc(16, qty)),
    road: 'checkout',
    lines: [{ sku: 'a', qty }],
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: null,
    contact: null,
  });
}

const available = async (sale: Sale) => Number(await admin.hget(saleKeys(sale.token).available, 'a'));
const count = (outcomes: readonly ReserveOutcome[], kind: ReserveOutcome['kind']) =>
  outcomes.filter((outcome) => outcome.kind === kind).length;

describe('batches', () => {
  test('2,000 buyers at once for 100 units: exactly 100 accepted, in few and bounded batches', async () => {
    const { sale } = await open(100);
    const reserve = createReserve({ redis, observe });
    const outcomes = await Promise.all(Array.from({ length: 2_000 }, () => buy(reserve, sale)));
    expect(count(outcomes, 'accepted')).toBe(100);
    expect(count(outcomes, 'temporarily_held')).toBe(1_900);
    expect(await available(sale)).toBe(0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(BATCH_REQUESTS_MAX);
    expect(sizes.length).toBeLessThan(20);
  });

  test('a request alone leaves at once, in a batch of one', async () => {
    const { sale } = await open(5);
    expect((await buy(createReserve({ redis, observe }), sale)).kind).toBe('accepted');
    expect(sizes).toEqual([1]);
  });

  test('a replay tells what was first told, from another engine too', async () => {
    const { sale } = await open(5);
    const who = { buyer: 'ann', key: 'k'.repeat(16), qty: 2 };
    const first = await buy(createReserve({ redis, observe }), sale, who);
    const again = await buy(createReserve({ redis: admin, observe }), sale, who);
    expect(again).toEqual({ ...first, replayed: true });
    expect(await available(sale)).toBe(3);
  });

  test('says what is short, what the limit is, and which SKU is unknown', async () => {
    const { sale } = await open(2, 3);
    const reserve = createReserve({ redis, observe });
    expect(await buy(reserve, sale, { qty: 3 })).toMatchObject({ kind: 'sold_out', short: [{ sku: 'a', requested: 3, available: 2 }] }); // biome-ignore format: one line
    await buy(reserve, sale, { buyer: 'bob', qty: 2 });
    expect(await buy(reserve, sale, { buyer: 'bob', qty: 2 })).toEqual({ kind: 'purchase_limit_reached', limit: 3, held: 2 }); // biome-ignore format: one line
    const held = await buy(reserve, sale);
    expect(held).toMatchObject({
      kind: 'temporarily_held',
      short: [{ sku: 'a', requested: 1, available: 0 }],
    });
    if (held.kind === 'temporarily_held') expect(held.earliest_release_ms).toBeGreaterThan(held.now_ms);
    const unknown = { ...sale, items: new Map() };
    expect(await buy(reserve, unknown)).toEqual({ kind: 'unknown_sku', sku: 'a' });
  });
});

describe('once a SKU is empty', () => {
  const ann = { buyer: 'ann', key: 'k'.repeat(16) };

  test('a refusal costs no fingerprint, an earlier success is told again, and an altered one is not', async () => {
    const { sale } = await open(1);
    const reserve = createReserve({ redis, observe });
    const first = await buy(reserve, sale, ann);
    expect(first.kind).toBe('accepted');
    expect((await buy(reserve, sale)).kind).toBe('temporarily_held');
    const fingerprint = () => expect.unreachable('a question has no fingerprint');
    expect((await buy(reserve, sale, { fingerprint })).kind).toBe('temporarily_held');
    expect(await buy(reserve, sale, ann)).toEqual({ ...first, replayed: true });
    const altered = await buy(reserve, sale, { ...ann, fingerprint: () => Buffer.alloc(16, 9) });
    expect(altered.kind).toBe('idempotency_key_reused');
  });

  test('stock that comes back is sold to the next who ask, all of it and no more', async () => {
    const { sale, loaded } = await open(1);
    const reserve = createReserve({ redis, observe });
    await buy(reserve, sale, ann);
    await Promise.all(Array.from({ length: 50 }, () => buy(reserve, sale)));
    await apply(admin, loaded.token, {
      ...{ n: 1, buyers: [], earliest_ms: 0 },
      items: [{ sku: 'a', to_available: 5, from_held: 0 }],
    });
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => buy(reserve, sale)));
    expect(count(outcomes, 'accepted')).toBe(5);
    expect(count(outcomes, 'temporarily_held')).toBe(45);
    expect(await available(sale)).toBe(0);
  });

  test('two requests under one key at the same moment: one is taken, the other is told what was true before it', async () => {
    const { sale, loaded } = await open(1);
    const reserve = createReserve({ redis, observe });
    await buy(reserve, sale);
    await buy(reserve, sale);
    await apply(admin, loaded.token, {
      ...{ n: 1, buyers: [], earliest_ms: 0 },
      items: [{ sku: 'a', to_available: 5, from_held: 0 }],
    });
    // The first would be taken, so it goes again, whole; meanwhile the second has been decided.
    const [one, six] = await Promise.all([buy(reserve, sale, ann), buy(reserve, sale, { ...ann, qty: 6 })]);
    expect([one.kind, six.kind]).toEqual(['accepted', 'temporarily_held']);
    expect((await buy(reserve, sale, { ...ann, qty: 6 })).kind).toBe('idempotency_key_reused');
    expect(await available(sale)).toBe(4);
  });
});

describe('when Redis is trouble', () => {
  test('a reply lost after the script ran, 300 times: what is taken is what was asked, once a key', async () => {
    const { sale } = await open(100_000);
    const reserve = createReserve({ redis, observe });
    for (let round = 0; round < 300; round += 1) {
      proxy.loseReplies(1);
      const outcomes = await Promise.all(Array.from({ length: 3 }, () => buy(reserve, sale)));
      expect(count(outcomes, 'accepted')).toBe(3);
      await redisReady(redis, 5_000);
    }
    expect(await available(sale)).toBe(100_000 - 900);
  });

  test('scripts forgotten again and again: they are loaded and sent again', async () => {
    const { sale } = await open(1_000);
    const reserve = createReserve({ redis, observe });
    for (let round = 0; round < 50; round += 1) {
      await admin.script('FLUSH');
      expect((await buy(reserve, sale)).kind).toBe('accepted');
    }
    expect(await available(sale)).toBe(950);
  });

  test('a Redis that stands still: answers within the deadline, and nothing is taken late', async () => {
    const { sale } = await open(1_000);
    const reserve = createReserve({ redis, observe, deadline_ms: 300 });
    expect((await buy(reserve, sale)).kind).toBe('accepted');
    process.kill(server.pid(), 'SIGSTOP');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => buy(reserve, sale)));
    process.kill(server.pid(), 'SIGCONT');
    expect(count(outcomes, 'unavailable')).toBe(20);
    // Everything that was on the road has been executed once Redis answers a command sent after it.
    await admin.ping();
    expect(await available(sale)).toBe(999);
    await expect.poll(async () => (await buy(reserve, sale)).kind).toBe('accepted');
  });

  test('kill -9: unavailable at once, recovering until verified, then the same engine sells on; every key keeps its answer', async () => {
    const { sale, loaded } = await open(1_000);
    const reserve = createReserve({ redis, observe });
    const who = { buyer: 'ann', key: 'k'.repeat(16) };
    const first = await buy(reserve, sale, who);
    await server.kill();
    await expect.poll(() => redis.status).not.toBe('ready');
    expect((await buy(reserve, sale)).kind).toBe('unavailable');
    await server.start();
    await redisReady(redis, 5_000);
    expect((await buy(reserve, sale)).kind).toBe('sale_recovering');
    await redisReady(admin, 5_000);
    await openVerified(admin, sale.token, loaded.route);
    expect((await buy(reserve, sale)).kind).toBe('accepted');
    expect(await buy(reserve, sale, who)).toEqual({ ...first, replayed: true });
    expect(await available(sale)).toBe(998);
  });

  test('more waiting than the bound: overloaded at once', async () => {
    const { sale } = await open(1_000);
    const reserve = createReserve({ redis, observe, deadline_ms: 200 });
    process.kill(server.pid(), 'SIGSTOP');
    const outcomes = Promise.all(
      Array.from({ length: PENDING_RESERVATIONS_MAX + 7 }, () => buy(reserve, sale)),
    );
    const all = await outcomes.finally(() => process.kill(server.pid(), 'SIGCONT'));
    expect(count(all, 'overloaded')).toBe(7);
    expect(count(all, 'unavailable')).toBe(PENDING_RESERVATIONS_MAX);
  });
});

describe('an order by its id', () => {
  test("is found for its buyer alone, at once; a reduce's record is nobody's order", async () => {
    const { sale, loaded } = await open(10);
    const accepted = await buy(createReserve({ redis, observe }), sale, { buyer: 'ann' });
    if (accepted.kind !== 'accepted') throw new Error(accepted.kind);
    const { order_id } = accepted.reservation;
    const sales = createSaleDirectory({ redis: admin, ledgerHas: () => Promise.resolve(false) });
    const find = createFindReservation({ redis: admin, sales });
    expect(await find(order_id, 'default', 'ann')).toMatchObject({
      kind: 'found',
      reservation: accepted.reservation,
    });
    expect((await find(order_id, 'default', 'bob')).kind).toBe('unknown');
    expect((await find(order_id, 'other', 'ann')).kind).toBe('unknown');
    expect((await find('A'.repeat(32), 'default', 'ann')).kind).toBe('unknown');
    const request = {
      id: randomBytes(16),
      fingerprint: randomBytes(16),
      request_id: 'r',
      items: [{ sku: 'a', qty: 1 }],
    };
    expect((await reduce(admin, loaded.token, request, Date.now())).kind).toBe('taken');
    const disguised = encodeOrderId({ route: loaded.route, day: dayOf(Date.now()), hash: request.id });
    expect((await find(disguised, 'default', 'ann')).kind).toBe('unknown');
  });

  test('held units are given back by movements and can be bought again', async () => {
    const { sale, loaded } = await open(1);
    const reserve = createReserve({ redis, observe });
    await buy(reserve, sale);
    expect((await buy(reserve, sale)).kind).toBe('temporarily_held');
    await apply(admin, loaded.token, { n: 1, items: [{ sku: 'a', to_available: 1, from_held: 1 }], buyers: [], earliest_ms: 0 }); // biome-ignore format: one line
    expect((await buy(reserve, sale)).kind).toBe('accepted');
  });
});
