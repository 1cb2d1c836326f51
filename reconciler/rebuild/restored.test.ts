/** Stores that come back as they once were, in mid-sale: whatever was acknowledged and is still in one of them is there. */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { auditOrders } from '../../ledger/audit.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { saleKeys } from '../../lua/keys.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { pastDeadline, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../test/support/tcp-proxy.ts';
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
  const sale = await rig({ db, redis, limit: 50, items: [{ sku: 'a', qty: 40 }] });
  await sale.settle();
  return sale;
}

let keys = 0;
/** Reservations of `count` buyers; what a repeat of the same must say. */
async function buy(sale: Rig, count: number) {
  const requests = Array.from({ length: count }, () => ({ key: `k${++keys}`, buyer: `b${keys % 7}` }));
  const { statuses, order_ids } = await sale.reserve(requests);
  expect(statuses).toBe('a'.repeat(count));
  return { requests, order_ids };
}

type Bought = Awaited<ReturnType<typeof buy>>;

async function isRight(sale: Rig, ...bought: Bought[]): Promise<void> {
  await sale.settle();
  await sale.release();
  await sale.settle();
  for (const { requests, order_ids } of bought) {
    const { statuses, order_ids: again } = await sale.reserve(requests);
    expect([statuses, again]).toEqual(['r'.repeat(requests.length), order_ids]);
  }
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
  expect(await auditOrders(sale.deps.db, sale.sale_no)).toEqual([]);
}

/** What is left is sold, and not one more. */
async function sellsOut(sale: Rig): Promise<void> {
  for (;;) {
    const { statuses } = await sale.reserve([{}]);
    if (statuses !== 'a') break;
  }
  await sale.settle();
  const { skus } = await sale.audit();
  expect(skus[0]).toMatchObject({ total: 40, told_available: 0 });
  expect((skus[0]?.reserved ?? 0) + (skus[0]?.sold ?? 0)).toBe(40);
}

/** Stops Redis, changes its files, and starts it again. */
async function withFiles(change: (aof: string) => void): Promise<void> {
  const [, dir] = (await redis.config('GET', 'dir')) as string[];
  await server.kill();
  change(join(dir as string, 'appendonlydir'));
  await server.start();
  await redisReady(redis, 10_000);
}

const copyOf = async () => {
  const [, dir] = (await redis.config('GET', 'dir')) as string[];
  const copy = `${dir}-copy-${++keys}`;
  cpSync(join(dir as string, 'appendonlydir'), copy, { recursive: true });
  return copy;
};

describe('Redis in mid-sale', () => {
  test('with an older AOF: orders that were ingested stay, and no unit is sold twice', async () => {
    const sale = await openSale();
    const first = await buy(sale, 10);
    await sale.settle();
    const copy = await copyOf();
    const second = await buy(sale, 10);
    await sale.settle();
    await authorizeOrders(db, second.order_ids.slice(0, 3), BY);
    await confirmOrders(db, second.order_ids.slice(0, 3), BY);
    await withFiles((aof) => {
      rmSync(aof, { recursive: true });
      cpSync(copy, aof, { recursive: true });
      rmSync(copy, { recursive: true });
    });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await isRight(sale, first, second);
    await sellsOut(sale);
  });

  test('with its AOF deleted', async () => {
    const sale = await openSale();
    const bought = await buy(sale, 25);
    await sale.settle();
    await withFiles((aof) => rmSync(aof, { recursive: true }));
    expect((await sale.reserve([{}])).refused).toBe('missing');
    await isRight(sale, bought);
    await sellsOut(sale);
  });

  test('with the tail of its AOF torn off: entries that are whole count, half of one does not', async () => {
    const sale = await openSale();
    const first = await buy(sale, 5);
    await sale.settle();
    const second = await buy(sale, 5);
    await withFiles((aof) => {
      const incr = readdirSync(aof).find((name) => name.endsWith('.incr.aof')) as string;
      const path = join(aof, incr);
      truncateSync(path, statSync(path).size - 40);
    });
    // The take of the second was in the part that is torn: that disk did not keep its promise.
    await isRight(sale, first);
    const { statuses } = await sale.reserve(second.requests);
    expect(statuses).toBe('aaaaa');
    await sellsOut(sale);
  });

  test('flushed while a rebuild is under way, again and again', async () => {
    const sale = await openSale();
    const bought = await buy(sale, 12);
    await sale.settle();
    for (let round = 0; round < 4; round++) {
      await redis.flushall();
      const running = sale.follower.step().then(() => sale.follower.step());
      await redis.flushall();
      await running.catch(() => {});
    }
    await isRight(sale, bought);
    await sellsOut(sale);
  });
});

describe('a stale replica is promoted under two engines', () => {
  let replica: OwnRedis;
  let proxy: TcpProxy;
  let through: Redis;
  beforeAll(async () => {
    replica = await startOwnRedis();
    proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
    through = connectRedis(`redis://127.0.0.1:${proxy.port}`);
    through.on('error', () => {});
    await redisReady(through, 10_000);
  });
  afterAll(async () => {
    through.disconnect();
    await proxy.close();
    await replica.stop();
  });

  test('what the ledger had stays; whoever has seen the new epoch closes the old primary; nothing is sold twice', async () => {
    const other = connectRedis(replica.url);
    other.on('error', () => {});
    await redisReady(other, 10_000);
    await other.replicaof('127.0.0.1', server.port);
    const sale = await rig({ db, redis: through, limit: 50, items: [{ sku: 'a', qty: 40 }] });
    await sale.settle();
    const first = await buy(sale, 10);
    await sale.settle();
    await expect
      .poll(async () => other.hget(saleKeys(placeOf(await sale.sale())).record, 'seq'), { timeout: 60_000 })
      .toBe(String((await sale.sale()).seq));
    // From here on the replica hears nothing more.
    await other.replicaof('NO', 'ONE');
    const second = await buy(sale, 10);
    await sale.settle();
    const old = await sale.sale();

    proxy.retarget({ host: '127.0.0.1', port: replica.port });
    proxy.resetAll();
    await expect.poll(() => through.ping().catch(() => 'away'), { timeout: 10_000 }).toBe('PONG');
    // One engine is still on the old primary, and sells what the other will sell.
    const astray = await sale.on(redis).reserveBlind(
      old,
      Array.from({ length: 20 }, () => ({})),
    );
    expect(astray.statuses).toBe('a'.repeat(20));
    expect((await sale.reserve([{}], { epoch: old.epoch })).refused).toBe('recovering');
    await isRight(sale, first, second);
    // It hears of the new epoch, and meets the old primary with it.
    const { epoch } = await sale.sale();
    const back = sale.on(redis);
    expect((await back.reserve([{}], { epoch })).refused).toBe('recovering');
    expect((await back.reserveBlind(old, [{}])).refused).toBe('recovering');
    await sellsOut(sale);
    other.disconnect();
  }, 120_000);
});

describe('the ledger in mid-sale', () => {
  /** The ledger as it is now, in a database of its own. */
  async function backup(): Promise<{ pool: Pool }> {
    const name = `restored_${process.pid}_${++keys}`;
    const admin = new pg.Client({ connectionString: ledger.url.replace(/\/[^/]+$/, '/postgres') });
    await admin.connect();
    const own = new URL(ledger.url).pathname.slice(1);
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${own}' AND pid <> pg_backend_pid()`); // biome-ignore format: one line
    for (;;) {
      try {
        await admin.query(`CREATE DATABASE ${name} TEMPLATE ${own}`);
        break;
      } catch (error) {
        // Somebody is still connected.
        if ((error as { code?: string }).code !== '55006') throw error;
      }
    }
    await admin.end();
    const url = ledger.url.replace(/\/[^/]+$/, `/${name}`);
    return { pool: createPool({ url, max: 10, application_name: 'restored', on_error: () => {} }) };
  }

  test('restored to an earlier point: what only Redis knows comes back by the stream, movements count once', async () => {
    const sale = await openSale();
    const first = await buy(sale, 6);
    await sale.settle();
    const { pool } = await backup();
    // After the backup: orders, an expiry with its movement, a pause.
    const second = await buy(sale, 6);
    await sale.settle();
    await pastDeadline(db, first.order_ids.slice(0, 2));
    await expireDue(db, { limit: 10 });
    await sale.release();
    await setGate(db, (await sale.sale()).tenant, 'sale', 'pause');
    await sale.release();
    await sale.settle();
    const third = await sale.reserve(second.requests);
    expect(third.statuses).toBe('rrrrrr');

    const restored = sale.over(pool);
    await setHeartbeat(pool);
    await restored.settle();
    // The gate is what this ledger says; the pause was lost with it.
    await isRight(restored, first, second);
    expect(await restored.sale()).toMatchObject({ gate: 'open', generation: 2 });
    const { rows } = await pool.query({
      text: 'SELECT entries_lost, orders_drained FROM rebuilds WHERE sale_no = $1 ORDER BY id',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([{ entries_lost: 0, orders_drained: 6 }]);
    await sellsOut(restored);
    await pool.end();
  });

  test('restored to a point before a rebuild: both streams are gone through', async () => {
    const sale = await openSale();
    const first = await buy(sale, 4);
    await sale.settle();
    const { pool } = await backup();
    const second = await buy(sale, 4);
    await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
    sale.follower.lookAgain();
    await sale.settle();
    const third = await buy(sale, 4);
    await sale.settle();

    const restored = sale.over(pool);
    await setHeartbeat(pool);
    await isRight(restored, first, second, third);
    expect(await restored.sale()).toMatchObject({ generation: 3 });
    await sellsOut(restored);
    await pool.end();
  });

  test('restored to a point that the stream does not reach back to: what is there comes in, the rest is told', async () => {
    const sale = await openSale();
    const { pool } = await backup();
    await buy(sale, 4);
    await sale.settle();
    const last = await buy(sale, 4);
    await sale.settle();
    const { stream } = saleKeys(placeOf(await sale.sale()));
    await redis.xtrim(stream, 'MINID', '3-0');

    const restored = sale.over(pool);
    await setHeartbeat(pool);
    await isRight(restored, last);
    expect(await restored.sale()).toMatchObject({ generation: 2 });
    const { rows } = await pool.query({
      text: 'SELECT entries_lost FROM rebuilds WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([{ entries_lost: 1 }]);
    await pool.end();
  });
});
