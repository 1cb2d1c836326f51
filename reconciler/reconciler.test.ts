/** The roles together, as processes run them, while Redis, the ledger or a colleague goes away and comes back. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { auditOrders } from '../ledger/audit.ts';
import { migrate } from '../ledger/migrate.ts';
import { type PostgresServer, removePostgres, startPostgres } from '../platform/local/postgres-server.ts';
import { createLog } from '../platform/log.ts';
import { createPool, type Pool } from '../platform/postgres.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { lastWill } from '../test/support/last-will.ts';
import { pastDeadline, stateOf } from '../test/support/ledger.ts';
import { type Rig, rig } from '../test/support/reconciler.ts';
import { type OwnRedis, startOwnRedis } from '../test/support/redis.ts';
import { createReconciler } from './reconciler.ts';
import { createSaleLocks } from './sale-locks.ts';

const log = createLog({ level: 'silent', service: 'test' });
let dir: string;
let postgres: PostgresServer;
let revoke: () => void;
let server: OwnRedis;
let db: Pool;
let redis: Redis;

async function startLedger(port?: number): Promise<void> {
  postgres = await startPostgres({ dir, port, settings: { full_page_writes: 'off' } });
  revoke = lastWill([postgres.pid]);
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'stampede-reconciler-'));
  chmodSync(dir, 0o711);
  await startLedger();
  await migrate(postgres.url);
  server = await startOwnRedis();
  db = createPool({ url: postgres.url, max: 10, application_name: 'test', on_error: () => {} });
  redis = connectRedis(server.url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await db.end();
  await server.stop();
  await postgres.kill();
  revoke();
  removePostgres(dir);
  rmSync(dir, { recursive: true, force: true });
});

type Running = { stop(): Promise<void>; metric(name: string): Promise<number>; notReady(): string | null };

function startReconciler(name = 'one'): Running {
  const registry = new Registry();
  const pool = createPool({
    url: postgres.url,
    max: 5,
    application_name: `work-${name}`,
    on_error: () => {},
  });
  const own = connectRedis(server.url);
  own.on('error', () => {});
  const locks = createSaleLocks({ url: postgres.url, application_name: `locks-${name}`, on_error: () => {} });
  const reconciler = createReconciler({
    db: pool,
    redis: own,
    locks,
    log,
    registry,
    trim_age_ms: 3_600_000,
    heartbeat_ms: 200,
    grace_ms: 1_500,
    enqueueAuthorize: () => Promise.resolve(),
  });
  const ending = new AbortController();
  const work = reconciler.run(ending.signal);
  return {
    notReady: () => reconciler.notReady(),
    async stop() {
      ending.abort();
      await work;
      await locks.close();
      await pool.end();
      own.disconnect();
    },
    async metric(metric) {
      const values = (await registry.getSingleMetric(metric)?.get())?.values ?? [];
      return values.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

const isOpen = (sale: Rig) =>
  vi.waitFor(async () => {
    const row = await sale.sale();
    if (row.identity === '' || row.opened_epoch !== row.epoch || row.fenced_reason)
      throw new Error('not open');
  }, WAIT);
const WAIT = { timeout: 15_000, interval: 20 };

const isDrained = (sale: Rig, orders: number) =>
  vi.waitFor(async () => {
    const { rows } = await db.query({
      text: 'SELECT count(*) AS orders FROM orders WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    expect(rows[0].orders).toBe(orders);
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
    expect(await auditOrders(db, sale.sale_no)).toEqual([]);
  }, WAIT);

/** Buys one unit after the other until told to stop; counts what was acknowledged. Epoch and place as first seen or told. */
function buyers(sale: Rig) {
  let going = true;
  const ids = new Set<string>();
  let refused = 0;
  const work = (async () => {
    let row = await sale.sale();
    while (going) {
      try {
        const taken = await sale.reserveBlind(row, [{}, {}]);
        for (const id of taken.order_ids) ids.add(id);
        if (taken.refused) {
          refused += 1;
          const epoch = Number(await redis.hget(`st:{${row.tenant}:${row.sale}}:record`, 'epoch'));
          if (epoch > row.epoch) row = { ...row, epoch };
          await sleep(5);
        }
      } catch {
        refused += 1;
        await sleep(5);
      }
    }
  })();
  return {
    ids,
    refused: () => refused,
    async stop() {
      going = false;
      await work;
      return ids.size;
    },
  };
}

describe('Postgres goes away and comes back', () => {
  test('buyers are served meanwhile, the backlog drains after, nothing is lost or doubled, nobody expires unfairly', async () => {
    const worker = startReconciler();
    const sale = await rig({ db, redis, items: [{ sku: 'a', qty: 100_000 }], hold_ms: 1_000 });
    await isOpen(sale);
    const held = await sale.reserve([{}]);
    await vi.waitFor(async () => expect(await stateOf(db, held.order_ids[0])).toBe('reserved'), WAIT);
    const before = buyers(sale);
    await vi.waitFor(() => expect(before.ids.size).toBeGreaterThan(20), WAIT);
    const { port } = postgres;
    await postgres.kill();
    revoke();
    const at_kill = before.ids.size;
    await sleep(1_500);
    expect(before.ids.size).toBeGreaterThan(at_kill + 50);
    expect(before.refused()).toBe(0);
    expect(worker.notReady()).toBe('the ledger is away');
    await startLedger(port);
    const back = performance.now();
    const count = (await before.stop()) + 1;
    await isDrained(sale, count);
    // The hold of the first ended while the ledger was away: it still has its grace.
    if (performance.now() - back < 1_000) expect(await stateOf(db, held.order_ids[0])).toBe('reserved');
    await vi.waitFor(async () => expect(await stateOf(db, held.order_ids[0])).toBe('expired'), WAIT);
    expect(performance.now() - back).toBeGreaterThan(1_000);
    expect(worker.notReady()).toBeNull();
    await vi.waitFor(
      async () =>
        expect((await sale.audit()).skus[0]).toMatchObject({ reserved: 0, told_available: 100_000 }),
      WAIT,
    );
    expect(await worker.metric('stampede_audit_imbalance')).toBe(0);
    await worker.stop();
  }, 60_000);
});

describe('Redis goes away and comes back', () => {
  test('the sale opens by itself, nothing is lost or doubled', async () => {
    const worker = startReconciler();
    const sale = await rig({ db, redis, items: [{ sku: 'a', qty: 100_000 }] });
    await isOpen(sale);
    for (let round = 0; round < 2; round++) {
      const load = buyers(sale);
      await vi.waitFor(() => expect(load.ids.size).toBeGreaterThan(20), WAIT);
      await server.kill();
      await server.start();
      await redisReady(redis, 5_000);
      const at_back = load.ids.size;
      await vi.waitFor(() => expect(load.ids.size).toBeGreaterThan(at_back), WAIT);
      await load.stop();
      for (const id of load.ids)
        await vi.waitFor(async () => expect(await stateOf(db, id)).toBe('reserved'), WAIT);
      await vi.waitFor(
        async () => expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } }),
        WAIT,
      );
    }
    await worker.stop();
  }, 60_000);
});

describe('two reconcilers', () => {
  test('share the sales, and one takes over when the other loses its locks', async () => {
    const workers = [startReconciler('one'), startReconciler('two')];
    const sales: Rig[] = [];
    for (let i = 0; i < 4; i++) sales.push(await rig({ db, redis, items: [{ sku: 'a', qty: 10_000 }] }));
    for (const sale of sales) await isOpen(sale);
    const loads = sales.map((sale) => buyers(sale));
    await vi.waitFor(() => expect(Math.min(...loads.map((load) => load.ids.size))).toBeGreaterThan(20), WAIT);
    for (const name of ['one', 'two', 'one']) {
      await db.query({
        text: 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
        values: [`locks-${name}`],
      });
      await sleep(300);
    }
    const counts = await Promise.all(loads.map((load) => load.stop()));
    for (const [i, sale] of sales.entries()) await isDrained(sale, counts[i]);
    const ingested = await Promise.all(workers.map((w) => w.metric('stampede_ingest_orders_total')));
    expect(ingested[0] + ingested[1]).toBe(counts.reduce((sum, count) => sum + count, 0));
    // Only one is left: it has all.
    await workers[0].stop();
    await sales[0].reserve([{}]);
    await isDrained(sales[0], counts[0] + 1);
    await workers[1].stop();
  }, 60_000);
});

test('what is due expires in chunks and comes back to Redis', async () => {
  const worker = startReconciler();
  const sale = await rig({ db, redis, items: [{ sku: 'a', qty: 2_000 }] });
  await isOpen(sale);
  for (let i = 0; i < 4; i++) await sale.reserve(Array.from({ length: 500 }, () => ({})));
  await isDrained(sale, 2_000);
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM orders WHERE sale_no = $1',
    values: [sale.sale_no],
  });
  await pastDeadline(
    db,
    rows.map((row) => row.id),
  );
  await vi.waitFor(async () => {
    const audit = await sale.audit();
    expect(audit).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
    expect(audit.skus[0]).toMatchObject({ reserved: 0, told_available: 2_000, told_held: 0 });
  }, WAIT);
  expect(await worker.metric('stampede_expiries_total')).toBeGreaterThanOrEqual(2_000);
  await worker.stop();
});
