import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buyerHash, limitCounter } from '../../domain/ids.ts';
import { MOVEMENT_ROWS_MAX } from '../../domain/limits.ts';
import { ackBatch } from '../../ledger/movements/ack-batch.ts';
import { readBatch } from '../../ledger/movements/read-batch.ts';
import { sealBatch } from '../../ledger/movements/seal-batch.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { failOrders } from '../../ledger/orders/fail-orders.ts';
import { topup } from '../../ledger/sales/topup.ts';
import { issueEpoch } from '../../ledger/stream/issue-epoch.ts';
import { saleKeys } from '../../lua/keys.ts';
import { apply, fence } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { hash16, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

const BY = { cause: 'test', actor: 'test' };

async function openSale(options: Partial<Parameters<typeof rig>[0]> = {}): Promise<Rig> {
  const sale = await rig({ db, redis, ...options });
  await sale.settle();
  return sale;
}

const counters = async (sale: Rig, sku = 'a') => {
  const keys = saleKeys(placeOf(await sale.sale()));
  const [available, held] = await Promise.all([redis.hget(keys.available, sku), redis.hget(keys.held, sku)]);
  return { available: Number(available), held: Number(held) };
};

const send = async (sale: Rig, n: number) => {
  const batch = await readBatch(db, sale.sale_no, n);
  return apply(redis, placeOf(await sale.sale()), { ...batch, earliest_ms: 0 });
};

describe('release', () => {
  test('takes what was sold out of held, and gives back stock and limits of what was not', async () => {
    const sale = await openSale({ limit: 3 });
    const { order_ids } = await sale.reserve([
      { buyer: 'x', lines: [{ sku: 'a', qty: 2 }] },
      { buyer: 'x', lines: [{ sku: 'a', qty: 1 }] },
    ]);
    await sale.settle();
    await authorizeOrders(db, [order_ids[0]], BY);
    await confirmOrders(db, [order_ids[0]], BY);
    await failOrders(db, [order_ids[1]], BY);
    expect(await sale.release()).toBe(true);
    expect(await counters(sale)).toEqual({ available: 98, held: 0 });
    const row = await sale.sale();
    expect(
      await redis.hgetBuffer(saleKeys(placeOf(row)).buyers, limitCounter(buyerHash(row.salt, 'x'))),
    ).toEqual(Buffer.from('2'));
    expect(await sale.release()).toBe(false);
    await sale.settle();
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      live: { kind: 'agrees' },
      acked_n: 1,
      applied_n: 1,
    });
  });

  test('goes on in bounded batches, each SKU and buyer once', async () => {
    const sale = await openSale({ items: [{ sku: 'a', qty: 5_000 }] });
    for (let i = 0; i < 5; i++) await sale.reserve(Array.from({ length: 500 }, () => ({})));
    await sale.settle();
    const { rows } = await db.query<{ id: string }>({
      text: 'SELECT id FROM orders WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    await failOrders(
      db,
      rows.map((row) => row.id),
      BY,
    );
    expect(await sale.release()).toBe(true);
    expect(await sale.sale()).toMatchObject({ sealed_n: 3, acked_n: 3 });
    const { items, buyers } = await readBatch(db, sale.sale_no, 1);
    expect([items, buyers.length]).toEqual([[{ sku: 'a', to_available: 1_000, from_held: 1_000 }], 0]);
    expect(MOVEMENT_ROWS_MAX).toBe(1_000);
    expect(await counters(sale)).toEqual({ available: 5_000, held: 0 });
    await sale.settle();
    expect((await sale.audit()).balanced).toBe(true);
  });

  test('tells the deadline of the oldest hold, as advice', async () => {
    const sale = await openSale({ hold_ms: 60_000 });
    const { order_ids } = await sale.reserve([{}, {}]);
    await sale.settle();
    await failOrders(db, [order_ids[0]], BY);
    await sale.release();
    const keys = saleKeys(placeOf(await sale.sale()));
    const left_ms = Number(await redis.hget(keys.record, 'earliest_ms')) - Date.now();
    expect(left_ms).toBeGreaterThan(55_000);
    expect(left_ms).toBeLessThan(61_000);
    await failOrders(db, [order_ids[1]], BY);
    await sale.release();
    expect(await redis.hget(keys.record, 'earliest_ms')).toBe('0');
  });

  test('leaves a fenced sale alone', async () => {
    const sale = await openSale();
    await fence(redis, placeOf(await sale.sale()));
    const { tenant } = await sale.sale();
    await topup(db, {
      tenant,
      sale: 'sale',
      key: randomUUID(),
      fingerprint: hash16('x'),
      items: [{ sku: 'a', qty: 1 }],
    });
    expect(await sale.release()).toBe(false);
    expect(await sale.sale()).toMatchObject({ sealed_n: 1, acked_n: 0 });
    await sale.settle();
    expect(await sale.release()).toBe(true);
    expect(await counters(sale)).toEqual({ available: 101, held: 0 });
  });
});

describe('a crash of the releaser', () => {
  const withMovement = async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await failOrders(db, order_ids, BY);
    return sale;
  };

  test('after sealing: the same batch is sent', async () => {
    const sale = await withMovement();
    await sealBatch(db, sale.sale_no);
    await sale.release();
    expect(await counters(sale)).toEqual({ available: 100, held: 0 });
    expect(await sale.sale()).toMatchObject({ sealed_n: 1, acked_n: 1 });
  });

  test('after Redis applied: sent again, it changes nothing', async () => {
    const sale = await withMovement();
    await sealBatch(db, sale.sale_no);
    expect(await send(sale, 1)).toEqual({ kind: 'applied' });
    const { tenant } = await sale.sale();
    await topup(db, {
      tenant,
      sale: 'sale',
      key: randomUUID(),
      fingerprint: hash16('x'),
      items: [{ sku: 'a', qty: 10 }],
    });
    // Nothing new is sealed before the old one is acknowledged.
    expect(await sealBatch(db, sale.sale_no)).toBeUndefined();
    await sale.release();
    expect(await counters(sale)).toEqual({ available: 110, held: 0 });
    expect(await sale.sale()).toMatchObject({ sealed_n: 2, acked_n: 2 });
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  });
});

describe('a memory that is not the one of before', () => {
  test('an acknowledgement that comes after another epoch was issued does not count', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await failOrders(db, order_ids, BY);
    await sealBatch(db, sale.sale_no);
    const { epoch } = await sale.sale();
    // Redis applied it, and came back as the copy from before, which was verified.
    await fence(redis, placeOf(await sale.sale()));
    await sale.settle();
    await ackBatch(db, sale.sale_no, { n: 1, epoch });
    expect(await sale.sale()).toMatchObject({ sealed_n: 1, acked_n: 0 });
    await sale.release();
    expect(await counters(sale)).toEqual({ available: 100, held: 0 });
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, acked_n: 1 });
  });

  test('an epoch is not issued over a batch that was acknowledged since Redis was looked at', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    const { epoch, identity } = await sale.sale();
    await failOrders(db, order_ids, BY);
    await sale.release();
    const seen = { epoch, record_epoch: epoch, identity };
    expect(await issueEpoch(db, sale.sale_no, { ...seen, applied_n: 0 })).toBeUndefined();
    const issued = await issueEpoch(db, sale.sale_no, { ...seen, applied_n: 1 });
    expect(issued?.epoch).toBeGreaterThan(epoch);
  });

  test('a ledger from before a batch that Redis has applied gives its number to no other one', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}, { lines: [{ sku: 'a', qty: 2 }] }]);
    await sale.settle();
    await failOrders(db, [order_ids[0]], BY);
    await sale.release();
    // What a restore brings back: the batch was never sealed, its movement never made.
    await db.query({ text: 'DELETE FROM movements WHERE sale_no = $1', values: [sale.sale_no] });
    await db.query({
      text: 'UPDATE cursors SET sealed_n = 0, acked_n = 0 WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    await failOrders(db, [order_ids[1]], BY);
    await sale.release();
    expect(await sale.sale()).toMatchObject({ sealed_n: 0, fenced_reason: 'movements_mismatch' });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  });
});

describe('batches sent twice or out of order', () => {
  test('take effect once, in order; a gap fences and verification opens again', async () => {
    const sale = await openSale();
    const { tenant } = await sale.sale();
    for (let n = 1; n <= 3; n++) {
      await topup(db, {
        tenant,
        sale: 'sale',
        key: randomUUID(),
        fingerprint: hash16('x'),
        items: [{ sku: 'a', qty: n }],
      });
      await sealBatch(db, sale.sale_no);
      await db.query({
        text: 'UPDATE cursors SET acked_n = sealed_n WHERE sale_no = $1',
        values: [sale.sale_no],
      });
    }
    await db.query({ text: 'UPDATE cursors SET acked_n = 0 WHERE sale_no = $1', values: [sale.sale_no] });
    expect(await send(sale, 1)).toEqual({ kind: 'applied' });
    expect(await send(sale, 1)).toEqual({ kind: 'already' });
    expect(await send(sale, 3)).toMatchObject({ kind: 'refused', reason: 'impossible' });
    expect(await send(sale, 2)).toMatchObject({ kind: 'refused', reason: 'recovering' });
    await sale.settle();
    expect(await send(sale, 2)).toEqual({ kind: 'applied' });
    expect(await send(sale, 1)).toEqual({ kind: 'already' });
    expect(await send(sale, 3)).toEqual({ kind: 'applied' });
    expect(await counters(sale)).toEqual({ available: 106, held: 0 });
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, applied_n: 3 });
  });

  test('by two releasers at once', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve(Array.from({ length: 20 }, () => ({})));
    await sale.settle();
    for (const id of order_ids) {
      await failOrders(db, [id], BY);
      await Promise.all([sale.release(), sale.release()]);
    }
    await sale.release();
    expect(await counters(sale)).toEqual({ available: 100, held: 0 });
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  });
});
