/** What a rebuild brings back of the orders: every key of the replay window whatever became of it, and who has what. */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { dayOf, decodeOrderId, encodeOrderId, requestHash } from '../../domain/ids.ts';
import { RECORD_TTL_DAYS } from '../../domain/limits.ts';
import { auditOrders } from '../../ledger/audit.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { failOrders } from '../../ledger/orders/fail-orders.ts';
import { listOrders } from '../../ledger/orders/list-orders.ts';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { bucketKey, saleKeys } from '../../lua/keys.ts';
import { reduce } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { hash16, pastDeadline, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, type RigOptions, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});
beforeEach(() => setHeartbeat(db));

const BY = { cause: 'test', actor: 'test' };
const DAY_MS = 86_400_000;

async function openSale(options: Partial<RigOptions> = {}): Promise<Rig> {
  const sale = await rig({ db, redis, limit: 9, ...options });
  await sale.settle();
  return sale;
}

async function rebuild(sale: Rig): Promise<void> {
  const { generation } = await sale.sale();
  await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
  sale.follower.lookAgain();
  await sale.settle();
  expect((await sale.sale()).generation).toBe(generation + 1);
}

const bucketOf = async (sale: Rig, day = dayOf(Date.now())) => bucketKey(placeOf(await sale.sale()), day);

test('every order keeps its key, and only who has not given units back counts for the limit', async () => {
  const sale = await openSale();
  const states = [
    'reserved',
    'confirmed',
    'shipped',
    'refunded',
    'expired',
    'failed',
    'canceled',
    'restocked',
  ];
  const requests = states.map((state) => ({ key: state, buyer: state, lines: [{ sku: 'a', qty: 2 }] }));
  const { statuses, order_ids } = await sale.reserve(requests);
  expect(statuses).toBe('aaaaaaaa');
  await sale.settle();
  const { tenant } = await sale.sale();
  const id = (state: string) => order_ids[states.indexOf(state)] as string;
  const sold = ['confirmed', 'shipped', 'refunded', 'restocked'].map(id);
  await authorizeOrders(db, sold, BY);
  await confirmOrders(db, sold, BY);
  const set = (order_id: string, to: string, restock = false) =>
    db.query({
      text: 'UPDATE orders SET state = $2, restock = $3 WHERE id = $1',
      values: [order_id, to, restock],
    });
  await set(id('shipped'), 'shipped');
  await set(id('refunded'), 'refunded');
  await set(id('restocked'), 'refunded', true);
  await pastDeadline(db, [id('expired')]);
  await expireDue(db, { limit: 10 });
  await failOrders(db, [id('failed')], BY);
  await cancelOrder(db, { tenant, order_id: id('canceled'), buyer: 'canceled' });

  await rebuild(sale);
  expect(await sale.reserve(requests)).toEqual({ statuses: 'rrrrrrrr', order_ids });
  for (const [i, state] of states.entries()) {
    const gave_back = i > 3;
    // Nine are allowed: two are gone where they were kept.
    const lines = (qty: number) => [{ sku: 'b', qty }];
    const asked = await sale.reserve([
      { buyer: state, lines: lines(gave_back ? 10 : 8) },
      { buyer: state, lines: lines(gave_back ? 9 : 7) },
    ]);
    expect([state, asked.statuses]).toEqual([state, 'la']);
  }
  await sale.settle();
  expect((await sale.audit()).skus[0]).toMatchObject({
    reserved: 2,
    sold: 6,
    told_available: 92,
    told_held: 2,
  });
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  expect(await auditOrders(db, sale.sale_no)).toEqual([]);
});

test('an order that was rejected keeps its key, too, and holds nothing', async () => {
  const sale = await openSale({ items: [{ sku: 'a', qty: 1 }] });
  await redis.hset(saleKeys(placeOf(await sale.sale())).available, 'a', 2);
  const requests = ['k1', 'k2'].map((key) => ({ key, buyer: key }));
  const { order_ids } = await sale.reserve(requests);
  await sale.settle();
  expect(await sale.reserve(requests)).toEqual({ statuses: 'rr', order_ids });
  const k = saleKeys(placeOf(await sale.sale()));
  expect([await redis.hgetall(k.available), await redis.hgetall(k.held)]).toEqual([{ a: '0' }, { a: '1' }]);
  expect(Object.values(await redis.hgetall(k.buyers))).toEqual(['1']);
});

test('records lie in the bucket of their day, and those that nobody is asked for any more are left out', async () => {
  const sale = await openSale();
  const { order_ids } = await sale.reserve([{}, {}, {}]);
  await sale.settle();
  const today = dayOf(Date.now());
  const ago = async (order_id: string, days: number) => {
    const parts = decodeOrderId(order_id);
    if (!parts) throw new Error(order_id);
    const old = encodeOrderId({ ...parts, day: today - days });
    // As if it had always been so: without what a change of an order sets off.
    await db.query(`
      BEGIN;
      SET LOCAL session_replication_role = replica;
      UPDATE orders SET id = '${old}', reserved_at = reserved_at - ${days} * interval '1 day',
        first_expires_at = first_expires_at - ${days} * interval '1 day' WHERE id = '${order_id}';
      UPDATE order_items SET order_id = '${old}' WHERE order_id = '${order_id}';
      COMMIT`);
    return parts.hash;
  };
  const two_ago = await ago(order_ids[1] as string, 2);
  const three_ago = await ago(order_ids[2] as string, 3);
  await rebuild(sale);
  expect(await redis.hlen(await bucketOf(sale))).toBe(1);
  expect(await redis.hexists(await bucketOf(sale, today - 2), two_ago)).toBe(1);
  expect(await redis.hexists(await bucketOf(sale, today - 3), three_ago)).toBe(0);
  for (const day of [today, today - 2]) {
    expect(await redis.pexpiretime(await bucketOf(sale, day))).toBe((day + RECORD_TTL_DAYS) * DAY_MS);
  }
});

test('units taken out of sale are not taken again by the same request', async () => {
  const sale = await openSale();
  const { tenant, salt } = await sale.sale();
  const key = randomUUID();
  const fingerprint = hash16('reduce');
  await recordReduce(db, { tenant, sale: 'sale', key, fingerprint });
  const id = requestHash(salt, tenant, 'sale', 'operator:reduce', key);
  const items = [
    { sku: 'b', qty: 3 },
    { sku: 'a', qty: 200 },
  ];
  const take = async () => {
    const place = placeOf(await sale.sale());
    return reduce(redis, place, { id, fingerprint, request_id: key, items }, Date.now());
  };
  const taken = [
    { sku: 'b', qty: 3 },
    { sku: 'a', qty: 100 },
  ];
  expect(await take()).toEqual({ kind: 'taken', taken });
  await rebuild(sale);
  expect(await take()).toEqual({ kind: 'replay', taken });
  expect((await sale.audit()).skus).toMatchObject([{ total: 0 }, { total: 97, told_available: 97 }]);
});

test('of two shops with a sale of one name only the one is rebuilt', async () => {
  const mine = await openSale();
  const other = await openSale();
  await mine.reserve([{}]);
  await other.reserve([{ key: 'k', buyer: 'x' }]);
  await other.settle();
  const before = await other.sale();
  const stream = await redis.xrange(saleKeys(placeOf(before)).stream, '-', '+');
  await rebuild(mine);
  expect(await other.sale()).toEqual(before);
  expect(await redis.xrange(saleKeys(placeOf(before)).stream, '-', '+')).toEqual(stream);
  expect((await other.reserve([{ key: 'k', buyer: 'x' }])).statuses).toBe('r');
});

test('operators page through orders as before, and what comes after the rebuild comes after', async () => {
  const sale = await openSale();
  const { tenant } = await sale.sale();
  const page = async () =>
    (await listOrders(db, { tenant, limit: 100 })).orders.map((order) => order.order_id);
  for (let i = 0; i < 3; i++) await sale.reserve([{}, {}]);
  await sale.settle();
  const before = await page();
  await rebuild(sale);
  const { order_ids } = await sale.reserve([{}]);
  await sale.settle();
  expect(await page()).toEqual([...order_ids, ...before]);
});

test('an older memory that went on by itself: what only it knows comes in, what both know is there once', async () => {
  const sale = await openSale();
  const k = saleKeys(placeOf(await sale.sale()));
  const both = await sale.reserve([{ key: 'both', buyer: 'x' }]);
  await sale.settle();
  // Copied here, and swapped back in below.
  const copy = {
    record: await redis.hgetallBuffer(k.record),
    available: await redis.hgetall(k.available),
    stream: await redis.dumpBuffer(k.stream),
  };
  const known = await sale.reserve([{ key: 'known', buyer: 'y' }]);
  await sale.reserve([{}]);
  await sale.settle();
  await redis.hset(k.record, copy.record);
  await redis.hset(k.available, copy.available);
  await redis.del(k.stream);
  await redis.restore(k.stream, 0, copy.stream);
  const only = await sale.reserve([{ key: 'only', buyer: 'z', lines: [{ sku: 'a', qty: 5 }] }]);
  await sale.reserve([{ key: 'more', buyer: 'z' }]);
  await sale.reserve([{ key: 'and more', buyer: 'z' }]);
  // And then it is restarted.
  await redis.hset(k.record, 'identity', 'another');
  await db.query({
    text: `UPDATE cursors SET identity = 'another' WHERE sale_no = $1`,
    values: [sale.sale_no],
  });
  sale.follower.lookAgain();
  await sale.settle();
  expect(await sale.sale()).toMatchObject({ fenced_reason: null, generation: 2 });
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM orders WHERE sale_no = $1',
    values: [sale.sale_no],
  });
  const ids = rows.map((row) => row.id);
  expect(ids).toEqual(expect.arrayContaining([...both.order_ids, ...known.order_ids, ...only.order_ids]));
  expect(ids).toHaveLength(6);
  expect(await sale.audit()).toMatchObject({
    balanced: true,
    live: { kind: 'agrees' },
    skus: [{ reserved: 10 }, {}],
  });
  expect(await auditOrders(db, sale.sale_no)).toEqual([]);
  const again = await sale.reserve([
    { key: 'both', buyer: 'x' },
    { key: 'known', buyer: 'y' },
    { key: 'only', buyer: 'z', lines: [{ sku: 'a', qty: 5 }] },
  ]);
  expect(again).toEqual({
    statuses: 'rrr',
    order_ids: [...both.order_ids, ...known.order_ids, ...only.order_ids],
  });
});

test('thousands of orders come back to the byte, in many steps', async () => {
  const sale = await openSale({ items: [{ sku: 'a', qty: 5_000 }, { sku: 'b', qty: 5_000 }] }); // biome-ignore format: one line
  const row = await sale.sale();
  for (let i = 0; i < 6; i++) {
    await sale.reserveBlind(
      row,
      Array.from({ length: 400 }, (_, j) => ({
        lines: j % 3 === 0 ? [{ sku: 'b', qty: 1 + (j % 4) }, { sku: 'a', qty: 1 }] : [{ sku: 'a', qty: 1 }], // biome-ignore format: one line
      })),
    );
  }
  await sale.settle();
  const records = async () => {
    const flat = (await redis.callBuffer('HGETALL', await bucketOf(sale))) as Buffer[];
    const found: string[] = [];
    for (let i = 0; i < flat.length; i += 2)
      found.push(`${flat[i]?.toString('hex')} ${flat[i + 1]?.toString('hex')}`);
    return found.sort();
  };
  const before = await records();
  expect(before).toHaveLength(2_400);
  await rebuild(sale);
  expect(await records()).toEqual(before);
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
});
