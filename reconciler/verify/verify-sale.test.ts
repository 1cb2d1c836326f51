import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sealBatch } from '../../ledger/movements/seal-batch.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { issueEpoch } from '../../ledger/stream/issue-epoch.ts';
import { setFenced } from '../../ledger/stream/set-fenced.ts';
import { saleKeys } from '../../lua/keys.ts';
import { fence, gate, readChunk } from '../../lua/scripts.ts';
import type { Pool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { interruptible } from '../../test/sequences/interrupt.ts';
import { setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/redis.ts';
import { fenceSale } from '../fence-sale.ts';
import { followSale } from '../ingest/follow-sale.ts';
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

async function openSale(): Promise<Rig> {
  const sale = await rig({ db, redis });
  await sale.settle();
  return sale;
}

async function restart(): Promise<void> {
  await server.kill();
  await server.start();
  await redisReady(redis, 10_000);
}

const recordOf = async (sale: Rig) => saleKeys(placeOf(await sale.sale())).record;

/** It must not open, says why, and is rebuilt. */
async function isNotTrusted(sale: Rig, reason: string): Promise<void> {
  const { generation } = await sale.sale();
  for (let step = 0; (await sale.sale()).fenced_reason !== reason; step++) {
    if (step > 3) throw new Error(`${(await sale.sale()).fenced_reason} instead of ${reason}`);
    await sale.follower.step();
  }
  const { refused } = await sale.reserve([{}]);
  expect(['recovering', 'missing', 'epoch']).toContain(refused);
  await sale.settle();
  expect((await sale.sale()).generation).toBeGreaterThan(generation);
  expect((await sale.reserve([{}])).statuses).toBe('a');
  await sale.settle();
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
}

describe('a restart of Redis in place', () => {
  test('closes the sale by itself; verification opens it under a higher epoch, with everything there', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{ key: 'k', buyer: 'x' }, {}]);
    const { epoch, identity } = await sale.sale();
    await restart();
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await sale.settle();
    const after = await sale.sale();
    expect(after.epoch).toBeGreaterThan(epoch);
    expect(after.opened_epoch).toBe(after.epoch);
    expect(after.identity).not.toBe(identity);
    expect(await sale.reserve([{ key: 'k', buyer: 'x' }])).toEqual({
      statuses: 'r',
      order_ids: [order_ids[0]],
    });
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      live: { kind: 'agrees' },
      skus: [{ reserved: 2 }, {}],
    });
  });

  test('with a backlog opens before the backlog is ingested', async () => {
    const sale = await openSale();
    for (let i = 0; i < 5; i++) await sale.reserve([{}]);
    await restart();
    expect(await sale.follower.step()).toBe('more');
    expect((await sale.sale()).seq).toBe(1);
    expect((await sale.reserve([{}])).statuses).toBe('a');
    await sale.settle();
    expect(await sale.audit()).toMatchObject({ balanced: true, skus: [{ reserved: 6 }, {}] });
  });

  test('in the middle of movements opens whatever of them was applied', async () => {
    for (const applied of [false, true]) {
      const sale = await openSale();
      const { order_ids } = await sale.reserve([{}, {}]);
      await sale.settle();
      await authorizeOrders(db, order_ids, BY);
      await confirmOrders(db, order_ids, BY);
      await sealBatch(db, sale.sale_no);
      if (applied) {
        await sale.release();
        // The acknowledgement got lost with the reconciler.
        await db.query({ text: 'UPDATE cursors SET acked_n = 0 WHERE sale_no = $1', values: [sale.sale_no] });
      }
      await restart();
      await sale.settle();
      await sale.release();
      await sale.settle();
      expect(await sale.sale()).toMatchObject({ sealed_n: 1, acked_n: 1, applied_n: 1 });
      expect(await sale.audit()).toMatchObject({
        balanced: true,
        live: { kind: 'agrees' },
        skus: [{ sold: 2, told_held: 0 }, {}],
      });
    }
  });

  test('opens with the gate that the ledger has, where an older copy has forgotten it', async () => {
    const sale = await openSale();
    const row = await sale.sale();
    const { record, stream } = saleKeys(placeOf(row));
    const older = await redis.hgetallBuffer(record);
    const paused = await setGate(db, row.tenant, 'sale', 'pause');
    if (paused.kind !== 'set') throw new Error(paused.kind);
    await gate(redis, placeOf(row), paused);
    expect((await sale.reserve([{}])).statuses).toBe('p');
    // The entry of the gate was the last, and nobody has read it.
    await redis.hset(record, older);
    await redis.xdel(stream, `${Number(older.seq) + 1}-0`);
    await redis.xsetid(stream, `${Number(older.seq)}-0`);
    await restart();
    await sale.follower.step();
    expect((await sale.sale()).opened_epoch).toBeGreaterThan(row.epoch);
    expect((await sale.reserve([{}])).statuses).toBe('p');
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ gate_version_seen: paused.version, seq: row.seq + 1 });
    // Once is enough: the next opening has nothing to set.
    await restart();
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ seq: row.seq + 1 });
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  });

  test('without appendfsync always is not trusted', async () => {
    const sale = await openSale();
    await restart();
    await redis.config('SET', 'appendfsync', 'everysec');
    await isNotTrusted(sale, 'not_durable');
    await redis.config('SET', 'appendfsync', 'always');
  });

  test('a sale that was never open opens whatever the durability', async () => {
    await redis.config('SET', 'appendfsync', 'everysec');
    const sale = await openSale();
    expect((await sale.reserve([{}])).statuses).toBe('a');
    await redis.config('SET', 'appendfsync', 'always');
  });
});

describe('a crash of the reconciler', () => {
  test('between issuing the epoch and Redis taking it is finished by the next', async () => {
    const sale = await openSale();
    await sale.reserve([{}]);
    await sale.settle();
    await restart();
    // Twice in a row.
    for (let crash = 0; crash < 2; crash++) {
      const row = await sale.sale();
      const chunk = await readChunk(redis, placeOf(row), { after_seq: row.seq, count: 1 });
      if (chunk.kind !== 'chunk') throw new Error('no chunk');
      const { epoch: record_epoch, identity_now: identity, applied_n } = chunk;
      await fence(redis, placeOf(row));
      await issueEpoch(db, sale.sale_no, { epoch: row.epoch, record_epoch, identity, applied_n });
    }
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    const next = followSale(sale.deps, sale.sale_no);
    await next.step();
    expect((await sale.reserve([{}])).statuses).toBe('a');
  });

  test('between Redis taking the epoch and the ledger noting it, too: movements go on', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await restart();
    await sale.settle();
    await db.query({
      text: 'UPDATE cursors SET opened_epoch = epoch - 1 WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    await authorizeOrders(db, order_ids, BY);
    await confirmOrders(db, order_ids, BY);
    expect(await sale.release()).toBe(false);
    await followSale(sale.deps, sale.sale_no).step();
    expect(await sale.release()).toBe(true);
    await sale.settle();
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      live: { kind: 'agrees' },
      skus: [{ sold: 1 }, {}],
    });
  });

  test('is no crash: one that stands still while another opens the sale and goes on closes nothing when it wakes', async () => {
    for (let after_calls = 1; ; after_calls++) {
      const sale = await openSale();
      await sale.reserve([{}]);
      await restart();
      const late = interruptible({ db, redis });
      late.arm({ kind: 'pause', after_calls, when: 'before' });
      const step = followSale({ ...sale.deps, db: late.db, redis: late.redis }, sale.sale_no).step();
      if (!(await Promise.race([late.paused().then(() => true), step.then(() => false)]))) {
        expect(after_calls).toBeGreaterThan(6);
        return;
      }
      await sale.settle();
      await sale.reserve([{}, {}]);
      await sale.settle();
      late.wake();
      await step;
      expect(await sale.sale()).toMatchObject({ fenced_reason: null, rebuild: null, generation: 1 });
      await sale.settle();
      expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
    }
  });

  test('while it loads a sale is finished by the next, wherever it happened', async () => {
    const sale = await rig({ db, redis });
    await sale.follower.step();
    await db.query({
      text: 'UPDATE cursors SET loaded = false, epoch = 0, opened_epoch = 0 WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    const next = followSale(sale.deps, sale.sale_no);
    for (let step = 0; step < 4; step++) await next.step();
    expect((await sale.reserve([{}])).statuses).toBe('a');
    // And "no record" before the ledger knows of it means: load again.
    const other = await rig({ db, redis });
    await other.follower.step();
    await db.query({ text: 'UPDATE cursors SET loaded = false WHERE sale_no = $1', values: [other.sale_no] });
    await redis.del(await recordOf(other));
    await redis.del(saleKeys(placeOf(await other.sale())).stream);
    await followSale(other.deps, other.sale_no).step();
    await other.settle();
    expect((await other.reserve([{}])).statuses).toBe('a');
  });
});

describe('a memory that is not the one the ledger has followed is not opened, but rebuilt', () => {
  test('no record', async () => {
    const sale = await openSale();
    await redis.del(await recordOf(sale));
    expect(await sale.audit()).toMatchObject({ live: { kind: 'not_comparable', reason: 'missing' } });
    await isNotTrusted(sale, 'no_record');
  });

  test('Redis behind the ledger: an older copy', async () => {
    for (const restarted of [false, true]) {
      const sale = await openSale();
      const { record, stream } = saleKeys(placeOf(await sale.sale()));
      const old = await redis.hgetallBuffer(record);
      await sale.reserve([{}]);
      await sale.settle();
      await redis.hset(record, old);
      await redis.xdel(stream, '2-0');
      if (restarted) await restart();
      await isNotTrusted(sale, 'redis_behind');
    }
  });

  test('another entry at the cursor', async () => {
    const sale = await openSale();
    const { record, stream } = saleKeys(placeOf(await sale.sale()));
    const old = await redis.hgetallBuffer(record);
    await sale.reserve([{}]);
    await sale.settle();
    // The older copy has gone on by itself.
    await redis.hset(record, old);
    await redis.del(stream);
    await sale.reserve([{}]);
    await redis.xdel(stream, '3-0');
    await restart();
    await isNotTrusted(sale, 'digest_mismatch');
  });

  test('an epoch that the ledger did not issue last', async () => {
    for (const off of [-1, 1]) {
      const sale = await openSale();
      const { epoch } = await sale.sale();
      await redis.hset(await recordOf(sale), 'epoch', epoch + off);
      await isNotTrusted(sale, 'epoch_mismatch');
    }
  });

  test('another generation', async () => {
    const sale = await openSale();
    await redis.hset(await recordOf(sale), 'generation', 2);
    await isNotTrusted(sale, 'generation_mismatch');
  });

  test('movements acknowledged that it has not, or has that nobody sealed', async () => {
    for (const applied_n of [0, 2]) {
      const sale = await openSale();
      const { order_ids } = await sale.reserve([{}]);
      await sale.settle();
      await authorizeOrders(db, order_ids, BY);
      await confirmOrders(db, order_ids, BY);
      await sale.release();
      await sale.settle();
      await redis.hset(await recordOf(sale), 'applied_n', applied_n);
      await restart();
      await isNotTrusted(sale, 'movements_mismatch');
    }
  });

  test('a sale of the same name that another ledger has made', async () => {
    const sale = await rig({ db, redis });
    await sale.follower.step();
    await redis.hset(await recordOf(sale), 'route', Buffer.from('others'));
    await db.query({ text: 'UPDATE cursors SET loaded = false WHERE sale_no = $1', values: [sale.sale_no] });
    const next = followSale(sale.deps, sale.sale_no);
    await next.step();
    expect(await sale.sale()).toMatchObject({ loaded: false, fenced_reason: 'foreign_record' });
  });
});

test('a reason that only a person can end lasts, also over a restart', async () => {
  const sale = await openSale();
  await setFenced(db, sale.sale_no, { reason: 'undecodable_entry', epoch: (await sale.sale()).epoch }, []);
  const next = followSale(sale.deps, sale.sale_no);
  await next.step();
  expect((await sale.reserve([{}])).refused).toBe('recovering');
  await restart();
  for (let step = 0; step < 4; step++) await next.step();
  expect((await sale.reserve([{}])).refused).toBe('recovering');
  expect(await sale.sale()).toMatchObject({ fenced_reason: 'undecodable_entry', generation: 1 });
});

test('a reason found under an epoch that is over closes nothing for longer than a verification takes', async () => {
  const sale = await openSale();
  const before = await sale.sale();
  await restart();
  await sale.settle();
  expect(await fenceSale(sale.deps, before, 'redis_behind')).toBe(false);
  await sale.settle();
  expect(await sale.sale()).toMatchObject({ fenced_reason: null, generation: 1 });
  expect((await sale.reserve([{}])).statuses).toBe('a');
});

describe('a sale that a script fenced although nothing restarted', () => {
  test('is verified and opened', async () => {
    const sale = await openSale();
    await fence(redis, placeOf(await sale.sale()));
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await sale.settle();
    expect((await sale.reserve([{}])).statuses).toBe('a');
  });

  test('is opened as often as that happens, also with a batch of movements under way', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await authorizeOrders(db, order_ids, BY);
    await confirmOrders(db, order_ids, BY);
    for (let times = 0; times < 3; times++) {
      await fence(redis, placeOf(await sale.sale()));
      expect(await sale.release()).toBe(false);
      await sale.settle();
    }
    expect(await sale.release()).toBe(true);
    await sale.settle();
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      live: { kind: 'agrees' },
      fenced_reason: null,
    });
  });

  test('by movements that cannot be applied is rebuilt', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await redis.hset(saleKeys(placeOf(await sale.sale())).held, 'a', 0);
    await authorizeOrders(db, order_ids, BY);
    await confirmOrders(db, order_ids, BY);
    expect(await sale.release()).toBe(false);
    await isNotTrusted(sale, 'movements_impossible');
  });
});

test('an engine that has seen more than this Redis closes the sale until it is verified', async () => {
  const sale = await openSale();
  const { epoch } = await sale.sale();
  expect((await sale.reserve([{}], { epoch: epoch + 10 })).refused).toBe('recovering');
  expect((await sale.reserve([{}])).refused).toBe('recovering');
});
