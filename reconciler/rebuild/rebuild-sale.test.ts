import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dayOf } from '../../domain/ids.ts';
import { sealBatch } from '../../ledger/movements/seal-batch.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { topup } from '../../ledger/sales/topup.ts';
import { bucketKey, routeKey, saleKeys } from '../../lua/keys.ts';
import type { Pool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { hash16, pastDeadline, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/redis.ts';
import { passEntry } from '../quarantine/pass-entry.ts';
import { placeOf } from '../sale-place.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let server: OwnRedis;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  server = await startOwnRedis();
  redis = connectRedis(server.url);
  redis.on('error', () => {});
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  await ledger.close();
});
beforeEach(async () => {
  await setHeartbeat(db);
  await redisReady(redis, 10_000);
});

const BY = { cause: 'test', actor: 'test' };

async function openSale(limit = 0): Promise<Rig> {
  const sale = await rig({ db, redis, limit });
  await sale.settle();
  return sale;
}

/** Everything that Redis holds of the sale's present generation, but its stream and marker. */
async function memory(sale: Rig) {
  const place = placeOf(await sale.sale());
  const k = saleKeys(place);
  const bucket = bucketKey(place, dayOf(Date.now()));
  const hash = async (key: string) =>
    Object.fromEntries(
      Object.entries(await redis.hgetallBuffer(key))
        .map(([field, value]) => [field, value.toString('hex')] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return {
    available: await redis.hgetall(k.available),
    held: await redis.hgetall(k.held),
    catalog: await hash(k.catalog),
    buyers: await hash(k.buyers),
    records: await hash(bucket),
    ttl: await redis.pexpiretime(bucket),
  };
}

async function lastRebuild(sale: Rig): Promise<Record<string, unknown>> {
  const { rows } = await db.query({
    text: 'SELECT * FROM rebuilds WHERE sale_no = $1 ORDER BY id DESC LIMIT 1',
    values: [sale.sale_no],
  });
  return rows[0];
}

/** Balanced, and Redis agrees to the unit. */
async function balances(sale: Rig): Promise<void> {
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
}

describe('a sale whose Redis lost everything', () => {
  test('is rebuilt as it was, under the next generation and a higher epoch; the sequence goes on', async () => {
    const sale = await openSale(5);
    const keys = [1, 2, 3, 4].map((i) => ({
      key: `k${i}`,
      buyer: `b${i % 2}`,
      lines: [
        { sku: 'b', qty: i % 3 === 0 ? 2 : 1 },
        { sku: 'a', qty: 1 },
      ],
    }));
    const first = await sale.reserve(keys.slice(0, 2));
    const second = await sale.reserve(keys.slice(2));
    await sale.settle();
    const before = await memory(sale);
    const { epoch, seq } = await sale.sale();

    await redis.flushall();
    expect((await sale.reserve([{}])).refused).toBe('missing');
    await sale.settle();
    const after = await sale.sale();
    expect(after.generation).toBe(2);
    expect(after.epoch).toBeGreaterThan(epoch);
    expect(after.start_seq).toBe(seq);
    // To the byte: what a replay is answered with, when it is forgotten, what buyers have, what is for sale.
    expect(await memory(sale)).toEqual(before);
    expect(await redis.get(routeKey(after.route))).toBe(`${after.tenant}:${after.sale}`);
    await balances(sale);

    expect(await sale.reserve(keys)).toEqual({
      statuses: 'rrrr',
      order_ids: [...first.order_ids, ...second.order_ids],
    });
    expect((await sale.reserve([{ buyer: 'b1', lines: [{ sku: 'a', qty: 2 }] }])).statuses).toBe('l');
    expect((await sale.reserve([{}])).statuses).toBe('a');
    await sale.settle();
    expect((await sale.sale()).seq).toBe(seq + 2);
    await balances(sale);
    expect(await lastRebuild(sale)).toMatchObject({
      reason: 'no_record',
      phase: 'done',
      attempts: 1,
      rows_staged: 12,
    });
  });

  test('keeps every key of the replay window, whatever became of its order', async () => {
    const sale = await openSale();
    const keys = ['held', 'confirmed', 'expired'].map((key) => ({ key, buyer: 'x' }));
    const { order_ids } = await sale.reserve(keys);
    await sale.settle();
    await authorizeOrders(db, [order_ids[1]], BY);
    await confirmOrders(db, [order_ids[1]], BY);
    await pastDeadline(db, [order_ids[2]]);
    await expireDue(db, { limit: 10 });
    await redis.flushall();
    await sale.settle();
    expect(await sale.reserve(keys)).toEqual({ statuses: 'rrr', order_ids });
    expect(await memory(sale)).toMatchObject({ available: { a: '98' }, held: { a: '1' } });
    await balances(sale);
  });

  test('movements at every stage take effect once', async () => {
    const sale = await openSale(3);
    const { order_ids } = await sale.reserve([
      { buyer: 'x' },
      { buyer: 'x' },
      { buyer: 'y' },
      { buyer: 'y' },
    ]);
    await sale.settle();
    const expire = async (id: string) => {
      await pastDeadline(db, [id]);
      await expireDue(db, { limit: 10 });
    };
    await expire(order_ids[0]);
    await sale.release();
    await expire(order_ids[1]);
    await sealBatch(db, sale.sale_no); // sealed, not sent
    await expire(order_ids[2]); // not sealed
    await redis.flushall();
    await sale.settle();
    // After it is in the ledger, before Redis has it.
    await expire(order_ids[3]);
    const request = {
      tenant: (await sale.sale()).tenant,
      sale: 'sale',
      key: 'more',
      fingerprint: hash16('f'),
    };
    await topup(db, { ...request, items: [{ sku: 'a', qty: 7 }] });
    await balances(sale);
    await sale.release();
    await sale.settle();
    await balances(sale);
    expect(await memory(sale)).toMatchObject({ available: { a: '107' }, held: { a: '0' }, buyers: {} });
    expect(await sale.sale()).toMatchObject({ sealed_n: 4, acked_n: 4, applied_n: 4 });
  });
});

describe('a sale that is well', () => {
  test('is rebuilt when an operator wants it; what was not ingested yet comes in first', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{ key: 'k', buyer: 'x' }, {}]);
    const old = placeOf(await sale.sale());
    await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
    sale.follower.lookAgain();
    await sale.settle();
    expect(await sale.reserve([{ key: 'k', buyer: 'x' }])).toEqual({
      statuses: 'r',
      order_ids: [order_ids[0]],
    });
    await balances(sale);
    expect(await lastRebuild(sale)).toMatchObject({ reason: 'operator', actor: 'me', orders_drained: 2 });
    // The old keys are gone, the old stream stays for a while.
    const { stream, ...hashes } = saleKeys(old);
    expect(await redis.exists(hashes.available, hashes.held, hashes.buyers, hashes.catalog)).toBe(0);
    expect(await redis.exists(bucketKey(old, dayOf(Date.now())))).toBe(0);
    expect(await redis.pttl(stream)).toBeGreaterThan(0);
    // An engine that knows the old epoch is told the new one.
    expect((await sale.reserve([{}], { epoch: old.epoch })).refused).toBe('epoch');
  });
});

describe('an entry that cannot be read', () => {
  test('stops a rebuild until an operator passes it; then it goes on, and what comes behind comes in', async () => {
    const sale = await openSale();
    const row = await sale.sale();
    const k = saleKeys(placeOf(row));
    const seq = Number(await redis.hget(k.record, 'seq')) + 1;
    await redis.xadd(k.stream, `${seq}-0`, 'v', 'reserve', 'h', 'nonsense');
    await redis.hset(k.record, 'seq', seq);
    const { order_ids } = await sale.reserve([{ key: 'k', buyer: 'x' }]);
    await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
    sale.follower.lookAgain();
    for (let step = 0; step < 4; step++) await sale.follower.step();
    expect(await sale.sale()).toMatchObject({
      fenced_reason: 'undecodable_entry',
      seq: seq - 1,
      generation: 1,
    });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    expect(await lastRebuild(sale)).toMatchObject({
      attempts: 1,
      error: 'undecodable_entry',
      finished_at: null,
    });
    const entry = { tenant: row.tenant, sale: row.sale, seq, actor: 'ops' };
    expect(await passEntry({ db, redis }, entry)).toEqual({ kind: 'passed' });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ fenced_reason: null, generation: 2 });
    expect(await sale.reserve([{ key: 'k', buyer: 'x' }])).toEqual({ statuses: 'r', order_ids });
    await balances(sale);
  });
});
