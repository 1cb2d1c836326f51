import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { dayOf } from '../../domain/ids.ts';
import { auditOrders } from '../../ledger/audit.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { failOrders } from '../../ledger/orders/fail-orders.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { topup } from '../../ledger/sales/topup.ts';
import { lockStock } from '../../ledger/stream/lock-stock.ts';
import { CursorMoved } from '../../ledger/stream/move-cursor.ts';
import { bucketKey, saleKeys } from '../../lua/keys.ts';
import { readChunk, reduce } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import { classifyError, createPool, type Pool, withTransaction } from '../../platform/postgres.ts';
import { hash16, setHeartbeat, stateOf, stockOf, testLedger } from '../../test/support/ledger.ts';
import { type Rig, type RigRequest, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { passEntry } from '../quarantine/pass-entry.ts';
import { placeOf } from '../sale-place.ts';
import { followSale } from './follow-sale.ts';
import { trimStream } from './trim-stream.ts';
import { writeChunk } from './write-chunk.ts';

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

const orderCount = async (sale: Rig) => {
  const { rows } = await db.query({
    text: `SELECT count(*) AS orders, count(DISTINCT id) AS ids, (SELECT count(*) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.sale_no = $1) AS items,
             (SELECT count(*) FROM order_events e JOIN orders o ON o.id = e.order_id WHERE o.sale_no = $1) AS events
           FROM orders WHERE sale_no = $1`,
    values: [sale.sale_no],
  });
  return rows[0];
};

/** Sessions of this database that wait for others to let go of rows. */
const waitingForRows = async () => {
  const { rows } = await db.query<{ waiting: number }>({
    text: `SELECT count(*) AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  });
  return rows[0].waiting;
};

const expectRight = async (sale: Rig) => {
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  expect(await auditOrders(db, sale.sale_no)).toEqual([]);
};

describe('a new sale', () => {
  test('is loaded, verified and opened; then what Redis takes becomes orders', async () => {
    const sale = await openSale();
    expect(await sale.sale()).toMatchObject({
      loaded: true,
      seq: 1,
      fenced_reason: null,
      gate_version_seen: 1,
    });
    const lines = [
      { sku: 'a', qty: 2 },
      { sku: 'b', qty: 1 },
    ];
    const { statuses, order_ids } = await sale.reserve([{}, { lines }]);
    expect(statuses).toBe('aa');
    await sale.settle();
    const { rows } = await db.query({
      text: 'SELECT id, state, total, seq FROM orders WHERE sale_no = $1 ORDER BY total',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([
      { id: order_ids[0], state: 'reserved', total: 1000, seq: 2 },
      { id: order_ids[1], state: 'reserved', total: 3000, seq: 2 },
    ]);
    expect(await stockOf(db, sale.sale_no)).toEqual({
      a: { total: 100, reserved: 3, sold: 0, told_available: 97, told_held: 3 },
      b: { total: 100, reserved: 1, sold: 0, told_available: 99, told_held: 1 },
    });
    await expectRight(sale);
  });

  test('whose SKUs Redis forgot before it had the record, or has others of, is loaded again and whole', async () => {
    const sale = await rig({ db, redis });
    const k = saleKeys(placeOf(await sale.sale()));
    // As if of another ledger's sale of this name, which never got its record.
    await redis.hset(k.available, 'left over', 5);
    expect(await sale.follower.step()).toBe('more');
    expect(await redis.exists(k.record, k.available, k.held, k.catalog)).toBe(0);
    await sale.settle();
    expect(await redis.hgetall(k.available)).toEqual({ a: '100', b: '100' });
    expect((await sale.reserve([{}])).statuses).toBe('a');
  });

  test('of thousands of SKUs is loaded whole, and a top-up before it is loaded comes after', async () => {
    const items = Array.from({ length: 2_500 }, (_, i) => ({ sku: `sku-${i}`, qty: i }));
    const sale = await rig({ db, redis, items });
    const { tenant } = await sale.sale();
    const added = {
      tenant,
      sale: 'sale',
      key: randomUUID(),
      fingerprint: hash16('x'),
      items: [{ sku: 'sku-7', qty: 3 }],
    };
    expect((await topup(db, added)).kind).toBe('done');
    await sale.settle();
    expect(await redis.hget(saleKeys(placeOf(await sale.sale())).available, 'sku-7')).toBe('7');
    await expectRight(sale);
    await sale.release();
    await sale.settle();
    expect(await redis.hget(saleKeys(placeOf(await sale.sale())).available, 'sku-7')).toBe('10');
    await expectRight(sale);
  });
});

describe('checkout orders', () => {
  test('have their payment begun in the transaction that makes them, others not', async () => {
    const begun: string[] = [];
    const enqueueAuthorize = async (_tx: unknown, ids: readonly string[]) => {
      begun.push(...ids);
    };
    const sale = await openSale({ deps: { enqueueAuthorize } });
    const { order_ids } = await sale.reserve([{}, { road: 'lock' }, {}]);
    await sale.settle();
    expect(begun).toEqual([order_ids[0], order_ids[2]]);
  });
});

/** A pool whose connection breaks at one statement of a transaction: before it runs, or after it has. */
function breaking(at: number, when: 'before' | 'after'): Pool {
  const pool = createPool({ url: ledger.url, max: 1, application_name: 'unlucky', on_error: () => {} });
  let statement = 0;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const unlucky = async (...args: unknown[]) => {
      // The pool's own queries, outside a transaction, have a callback.
      if (typeof args.at(-1) === 'function') return query(...args);
      statement += 1;
      if (statement !== at) return query(...args);
      if (when === 'after') await query(...args);
      const { rows } = (await query('SELECT pg_backend_pid() AS pid')) as { rows: { pid: number }[] };
      await db.query({ text: 'SELECT pg_terminate_backend($1)', values: [rows[0].pid] });
      return query('SELECT 1');
    };
    Object.assign(client, { query: unlucky });
  });
  return pool;
}

describe('a crash of the ingester', () => {
  const orders: RigRequest[] = [
    {},
    {
      lines: [
        { sku: 'a', qty: 2 },
        { sku: 'b', qty: 1 },
      ],
    },
  ];

  test('at any statement of the transaction leaves nothing, and the chunk comes again; after COMMIT it is not doubled', async () => {
    let broke = 0;
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; at <= 11; at++) {
        const sale = await openSale();
        const { order_ids } = await sale.reserve(orders);
        const pool = breaking(at, when);
        const unlucky = followSale({ ...sale.deps, db: pool }, sale.sale_no);
        await unlucky.step().catch((error: unknown) => {
          expect(classifyError(error)).toBe('unavailable');
          broke += 1;
        });
        await pool.end();
        await sale.settle();
        expect(await orderCount(sale), `${when} ${at}`).toEqual({ orders: 2, ids: 2, items: 3, events: 2 });
        expect(await stateOf(db, order_ids[1])).toBe('reserved');
        await expectRight(sale);
      }
    }
    // Both kinds really happened: BEGIN, read, clock, orders, items, lock, stock, cursor, COMMIT.
    expect(broke).toBe(18);
  });
});

test('a backlog is ingested in transactions of bounded size', async () => {
  const sale = await openSale({ items: [{ sku: 'a', qty: 10_000 }] });
  for (let i = 0; i < 24; i++) await sale.reserve(Array.from({ length: 200 }, () => ({})));
  const positions: number[] = [];
  for (let step = 0; step < 3; step++) {
    expect(await sale.follower.step()).toBe(step < 2 ? 'more' : 'busy');
    positions.push((await sale.sale()).seq);
  }
  // Sixteen entries are read first. Ten of 200 make a transaction: one more would make more than 2,048 orders. What is left of those
  // read comes next, then the others.
  expect(positions).toEqual([11, 17, 25]);
  expect(sale.follower.state.lag_entries).toBe(0);
  await expectRight(sale);
});

describe('the stock rows', () => {
  test('are free for confirmations while a chunk is written', async () => {
    const sale = await openSale();
    const { order_ids } = await sale.reserve([{}]);
    await sale.settle();
    await authorizeOrders(db, order_ids, BY);
    let confirmed: string[] = [];
    const enqueueAuthorize = async () => {
      confirmed = await confirmOrders(db, order_ids, BY);
    };
    await sale.reserve([{}]);
    await followSale({ ...sale.deps, enqueueAuthorize }, sale.sale_no).step();
    expect(confirmed).toEqual(order_ids);
    await sale.settle();
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 1, sold: 1 } });
    await expectRight(sale);
  });

  test('are locked before an order is rejected: units on their way back count', async () => {
    const sale = await openSale({ items: [{ sku: 'a', qty: 1 }] });
    const first = await sale.reserve([{}]);
    await sale.settle();
    await redis.hset(saleKeys(placeOf(await sale.sale())).available, 'a', 1);
    const second = await sale.reserve([{}]);
    const release = await db.connect();
    await release.query('BEGIN');
    await failOrders(release, first.order_ids, BY);
    const step = sale.follower.step();
    await vi.waitFor(async () => {
      const waiting = await db.query(
        `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM skus%'`,
      );
      expect(waiting.rowCount).toBe(1);
    });
    await release.query('COMMIT');
    release.release();
    await step;
    expect(await stateOf(db, second.order_ids[0])).toBe('reserved');
    expect(await sale.sale()).toMatchObject({ fenced_reason: null });
  });
});

describe('two ingesters', () => {
  test('that know nothing of each other write every entry once', async () => {
    const sale = await openSale();
    const second = followSale(sale.deps, sale.sale_no);
    let going = true;
    const follow = async (follower: typeof second) => {
      while (going) await follower.step().catch(() => {});
    };
    const loops = [follow(sale.follower), follow(second)];
    for (let round = 0; round < 20; round++) await sale.reserve([{}, {}, {}]);
    going = false;
    await Promise.all(loops);
    await sale.settle();
    expect(await orderCount(sale)).toEqual({ orders: 60, ids: 60, items: 60, events: 60 });
    await expectRight(sale);
  });

  test('one that was stopped past its lease and resumes writes nothing', async () => {
    const sale = await openSale();
    const before = await sale.sale();
    await sale.reserve([{}, {}]);
    const chunk = await readChunk(redis, placeOf(before), { after_seq: before.seq, count: 10 });
    if (chunk.kind !== 'chunk') throw new Error('no chunk');
    await sale.settle();
    const { enqueueAuthorize, grace_ms } = sale.deps;
    const late = writeChunk(db, {
      sale: before,
      entries: chunk.entries,
      now_ms: chunk.now_ms,
      grace_ms,
      enqueueAuthorize,
      expect_known: true,
    });
    await expect(late).rejects.toThrow(CursorMoved);
    expect(await orderCount(sale)).toMatchObject({ orders: 2, events: 2 });
    const { rowCount } = await db.query({
      text: 'SELECT FROM movements WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    expect(rowCount).toBe(0);
    await expectRight(sale);
  });

  test('one that would take out of sale what another has just taken out passes it over', async () => {
    const sale = await openSale();
    const second = followSale(sale.deps, sale.sale_no);
    expect(await second.step()).toBe('idle');
    const row = await sale.sale();
    const all = (await sale.audit()).skus.map(({ sku, told_available: qty }) => ({ sku, qty }));
    const request = { id: hash16('id'), fingerprint: hash16('f'), request_id: 'all of it', items: all };
    expect(await reduce(redis, placeOf(row), request, Date.now())).toMatchObject({ kind: 'taken' });
    // Both have read the stock, and wait for its rows, until somebody else lets go of them.
    const steps = await withTransaction(db, async (tx) => {
      await lockStock(
        tx,
        sale.sale_no,
        all.map(({ sku }) => sku),
      );
      const both = [sale.follower.step(), second.step()];
      await vi.waitFor(async () => expect(await waitingForRows()).toBe(2), { timeout: 20_000, interval: 20 });
      return { both };
    });
    expect((await Promise.all(steps.both)).sort()).toEqual(['busy', 'slow']);
    expect((await sale.audit()).skus.map(({ total }) => total)).toEqual(all.map(() => 0));
    await expectRight(sale);
  });

  test('one that stood still while another went on and trimmed does not take its own gap for one of the stream', async () => {
    const sale = await openSale();
    const second = followSale(sale.deps, sale.sale_no);
    expect(await second.step()).toBe('idle');
    await sale.reserve([{}]);
    await sale.reserve([{}]);
    await sale.settle();
    expect(await trimStream(redis, await sale.sale(), -1)).toBeGreaterThan(0);
    expect(await second.step()).toBe('more');
    expect(await second.step()).toBe('idle');
    expect(await sale.sale()).toMatchObject({ fenced_reason: null, rebuild: null });
  });

  test('one that is behind with the gate finds it written by another, and goes on from there', async () => {
    const sale = await openSale();
    const second = followSale(sale.deps, sale.sale_no);
    expect(await second.step()).toBe('idle');
    await setGate(db, (await sale.sale()).tenant, 'sale', 'pause');
    await sale.release();
    await sale.follower.step();
    expect(await second.step()).toBe('slow');
    expect(await second.step()).toBe('idle');
  });
});

describe('Redis and the ledger disagree', () => {
  test('an order that Redis had forgotten and took again gives its units and limit back', async () => {
    const sale = await openSale({ limit: 5 });
    const request = { buyer: 'x', key: 'k', lines: [{ sku: 'a', qty: 2 }] };
    const { order_ids } = await sale.reserve([request]);
    await sale.settle();
    await redis.del(bucketKey(placeOf(await sale.sale()), dayOf(Date.now())));
    expect(await sale.reserve([request])).toEqual({ statuses: 'a', order_ids });
    await sale.settle();
    expect(await orderCount(sale)).toMatchObject({ orders: 1, events: 1 });
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      skus: [{ reserved: 2, told_available: 96 }, {}],
    });
    await sale.release();
    await sale.settle();
    await expectRight(sale);
    expect((await sale.audit()).skus[0]).toMatchObject({ reserved: 2, told_available: 98, told_held: 2 });
    // Two of the buyer's five are held, so three more go and not four.
    expect((await sale.reserve([{ buyer: 'x', lines: [{ sku: 'a', qty: 4 }] }])).statuses).toBe('l');
    expect((await sale.reserve([{ buyer: 'x', lines: [{ sku: 'a', qty: 3 }] }])).statuses).toBe('a');
  });

  test('an order that Redis had no stock for is rejected and never sold; the sale is closed and rebuilt', async () => {
    const sale = await openSale({ items: [{ sku: 'a', qty: 2 }] });
    await redis.hset(saleKeys(placeOf(await sale.sale())).available, 'a', 6);
    const { statuses, order_ids } = await sale.reserve([{}, { lines: [{ sku: 'a', qty: 2 }] }, {}]);
    expect(statuses).toBe('aaa');
    await sale.follower.step();
    expect(await Promise.all(order_ids.map((id) => stateOf(db, id)))).toEqual([
      'reserved',
      'rejected',
      'reserved',
    ]);
    expect(await sale.sale()).toMatchObject({ fenced_reason: 'order_did_not_fit', seq: 2 });
    expect(sale.follower.state.fenced).toBe(true);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { total: 2, reserved: 2 } });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    expect((await sale.audit()).balanced).toBe(false);
    expect(await sale.deps.metrics.oversellPrevented.get()).toMatchObject({ values: [{ value: 1 }] });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ fenced_reason: null, generation: 2 });
    await expectRight(sale);
    expect((await sale.reserve([{}])).statuses).toBe('h');
  });

  test('a missing entry fences; what is behind it comes in before the sale is rebuilt', async () => {
    const sale = await openSale();
    const keys = saleKeys(placeOf(await sale.sale()));
    await sale.reserve([{}]);
    await sale.reserve([{}]);
    await redis.xdel(keys.stream, '2-0');
    expect(await sale.follower.step()).toBe('more');
    expect(await sale.sale()).toMatchObject({ fenced_reason: 'stream_gap', seq: 1 });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await sale.settle();
    expect(await orderCount(sale)).toMatchObject({ orders: 1 });
    await expectRight(sale);
  });

  test('a stream cut off behind the cursor is a gap too, and its numbers are not used again', async () => {
    const sale = await openSale();
    await sale.reserve([{}]);
    await redis.xdel(saleKeys(placeOf(await sale.sale())).stream, '2-0');
    await sale.follower.step();
    expect(await sale.sale()).toMatchObject({ fenced_reason: 'stream_gap', seq: 1 });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ fenced_reason: null, start_seq: 2, seq: 3 });
    await expectRight(sale);
  });

  test('movements applied that were never sealed fence', async () => {
    const sale = await openSale();
    await redis.hset(saleKeys(placeOf(await sale.sale())).record, 'applied_n', 7);
    await sale.reserve([{}]);
    await sale.follower.step();
    expect(await sale.sale()).toMatchObject({ fenced_reason: 'movements_mismatch', seq: 1 });
    await sale.settle();
    expect(await orderCount(sale)).toMatchObject({ orders: 1 });
    await expectRight(sale);
  });
});

describe('an entry that cannot be decoded', () => {
  const breakStream = async (sale: Rig) => {
    const row = await sale.sale();
    const keys = saleKeys(placeOf(row));
    const seq = Number(await redis.hget(keys.record, 'seq')) + 1;
    await redis.xadd(keys.stream, `${seq}-0`, 'v', 'reserve', 'h', 'nonsense');
    await redis.hset(keys.record, 'seq', seq);
    return seq;
  };

  test('stops its sale and no other, and only an operator passes it', async () => {
    const sale = await openSale();
    const other = await openSale();
    await sale.reserve([{}]);
    const seq = await breakStream(sale);
    await sale.reserve([{}]);
    const { tenant, sale: id } = await sale.sale();
    const entry = { tenant, sale: id, seq, actor: 'ops' };
    // Not before the cursor stands there.
    expect(await passEntry({ db, redis }, entry)).toEqual({ kind: 'nothing_to_pass', seq: 2 });
    for (let step = 0; step < 4; step++) await sale.follower.step();
    expect(await sale.sale()).toMatchObject({ seq: seq - 1, fenced_reason: 'undecodable_entry' });
    expect((await sale.reserve([{}])).refused).toBe('recovering');
    await other.reserve([{}]);
    await other.settle();
    expect(await orderCount(other)).toMatchObject({ orders: 1 });

    expect(await passEntry({ db, redis }, { ...entry, seq: seq + 1 })).toEqual({
      kind: 'nothing_to_pass',
      seq,
    });
    expect(await passEntry({ db, redis }, { ...entry, tenant: 'other' })).toEqual({ kind: 'not_found' });
    expect(await passEntry({ db, redis }, entry)).toEqual({ kind: 'passed' });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ seq: seq + 1, fenced_reason: null });
    expect(await orderCount(sale)).toMatchObject({ orders: 2 });
    expect((await sale.reserve([{}])).statuses).toBe('a');
    await sale.settle();
    const { rows } = await db.query({
      text: 'SELECT seq, actor, length(raw) > 10 AS kept FROM quarantine WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([{ seq, actor: 'ops', kept: true }]);
  });

  test('that was passed last does not stand in the way of a verification', async () => {
    const sale = await openSale();
    const seq = await breakStream(sale);
    await sale.follower.step();
    const { tenant, sale: id } = await sale.sale();
    await passEntry({ db, redis }, { tenant, sale: id, seq, actor: 'ops' });
    await sale.settle();
    expect((await sale.reserve([{}])).statuses).toBe('a');
  });
});

describe('what operators do', () => {
  test('a reduce is ingested: total falls by what was taken, and its key has its answer', async () => {
    const sale = await openSale({ items: [{ sku: 'a', qty: 5 }] });
    const row = await sale.sale();
    await sale.reserve([{ lines: [{ sku: 'a', qty: 3 }] }]);
    const key = randomUUID();
    const fingerprint = hash16('reduce');
    const request = { tenant: row.tenant, sale: row.sale, key, fingerprint };
    expect(await recordReduce(db, request)).toEqual({ kind: 'new' });
    const items = [{ sku: 'a', qty: 4 }];
    const taken = await reduce(
      redis,
      placeOf(row),
      { id: hash16(key), fingerprint, request_id: key, items },
      Date.now(),
    );
    expect(taken).toEqual({ kind: 'taken', taken: [{ sku: 'a', qty: 2 }] });
    await sale.settle();
    expect(await stockOf(db, sale.sale_no)).toMatchObject({
      a: { total: 3, reserved: 3, told_available: 0 },
    });
    expect(await recordReduce(db, request)).toEqual({
      kind: 'replay',
      answer: { items: [{ sku: 'a', qty: 2 }] },
    });
    await expectRight(sale);
  });

  test('a gate is sent until its entry has been ingested, and only a higher version counts', async () => {
    const sale = await openSale();
    const { tenant } = await sale.sale();
    await setGate(db, tenant, 'sale', 'pause');
    expect(await sale.release()).toBe(true);
    expect((await sale.reserve([{}])).statuses).toBe('p');
    expect(await sale.release()).toBe(false);
    expect(await sale.sale()).toMatchObject({ gate_version_seen: 1 });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ gate_version_seen: 2 });
    await setGate(db, tenant, 'sale', 'resume');
    await setGate(db, tenant, 'sale', 'close');
    await sale.release();
    await sale.settle();
    expect(await sale.sale()).toMatchObject({ gate_version: 4, gate_version_seen: 4 });
    expect((await sale.reserve([{}])).statuses).toBe('c');
    expect(await sale.follower.step()).toBe('slow');
  });
});

test('deadlines carry the time left by the Redis clock, not its hour', async () => {
  const sale = await openSale({ hold_ms: 60_000 });
  const { order_ids } = await sale.reserve([{}]);
  await sale.settle();
  const { rows } = await db.query({
    text: `SELECT extract(epoch FROM expires_at - now())::float AS left_s, extract(epoch FROM first_expires_at - reserved_at)::float AS hold_s FROM orders WHERE id = $1`,
    values: [order_ids[0]],
  });
  expect(rows[0].hold_s).toBe(60);
  expect(rows[0].left_s).toBeGreaterThan(58);
  expect(rows[0].left_s).toBeLessThanOrEqual(60);
});
