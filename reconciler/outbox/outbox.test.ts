/** The dispatcher on a real ledger: what sinks are handed, whatever happens meanwhile. */
import pg from 'pg';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../platform/log.ts';
import type { Pool, Queryable } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, type TestSale, testLedger } from '../../test/support/ledger.ts';
import { dispatch } from './dispatch.ts';
import { runOutboxRole } from './outbox-role.ts';
import type { OutboxEvent, Sink } from './sink.ts';

const log = createLog({ level: 'silent', service: 'test' });
let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let sale: TestSale;
let sinks_made = 0;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  await db.query('CREATE TABLE taken (no bigserial, sink text, event_id bigint, event jsonb)');
  sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 10_000 }], limit: 0 });
});
beforeEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});
afterAll(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
  await ledger.close();
});

/** A sink that writes what it takes into a table: seen is what was committed. */
function tableSink(options: Partial<Sink> & { before?: (events: readonly OutboxEvent[]) => void } = {}) {
  sinks_made += 1;
  const name = `sink-${sinks_made}`;
  const { before, ...rest } = options;
  const sink: Sink = {
    name,
    async take(tx: Queryable, events) {
      before?.(events);
      await tx.query({
        text: `INSERT INTO taken (sink, event_id, event)
               SELECT $1, (e ->> 'id')::bigint, e FROM jsonb_array_elements($2::jsonb) AS e`,
        values: [name, JSON.stringify(events)],
      });
    },
    ...rest,
  };
  const seen = async (): Promise<OutboxEvent[]> => {
    const { rows } = await db.query<{ event: OutboxEvent }>({
      text: `SELECT event FROM taken WHERE sink = $1 ORDER BY no`,
      values: [name],
    });
    return rows.map((row) => row.event);
  };
  return { sink, name, seen };
}

function run(
  sinks: readonly Sink[],
  options: { registry?: Registry; url?: string } = {},
): () => Promise<void> {
  const ending = new AbortController();
  const running = runOutboxRole(
    {
      ...{ pool: db, database_url: options.url ?? ledger.url, sinks, log },
      registry: options.registry ?? new Registry(),
      timings: { poll_ms: 100, gather_ms: 5, skip_ms: 50, stand_by_ms: 50, backoff_ms: 20, lag_ms: 50 },
    },
    ending.signal,
  );
  const stop = async () => {
    ending.abort();
    await running;
  };
  ends.push(stop);
  return stop;
}

const started = (name: string) =>
  vi.waitFor(async () => {
    const { rowCount } = await db.query({
      text: 'SELECT FROM outbox_cursors WHERE sink = $1',
      values: [name],
    });
    expect(rowCount).toBe(1);
  }, WAIT);
const WAIT = { timeout: 15_000, interval: 20 };
const ids = (events: readonly OutboxEvent[]) => events.map((event) => event.id);

/** Of the ledger itself: what a sink must have been handed of these orders. */
async function written(orders: readonly string[]): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>({
    text: 'SELECT id FROM order_events WHERE order_id = ANY ($1) ORDER BY id',
    values: [orders],
  });
  return rows.map((row) => row.id);
}

async function note(client: Pick<pg.Client, 'query'>, order: string): Promise<void> {
  await client.query(
    `INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
     VALUES ($1, 'reserved', 'reserved', 'note', 'test')`,
    [order],
  );
}

describe('the outbox', () => {
  test('hands over events with whose they are, from now on', async () => {
    const before = await ledgerOrders(db, sale, [{}]);
    const { sink, name, seen } = tableSink();
    run([sink]);
    await started(name);
    const [order] = await ledgerOrders(db, sale, [{}]);
    await vi.waitFor(async () => expect(await seen()).toHaveLength(1), WAIT);
    expect(await seen()).toMatchObject([
      {
        ...{ order_id: order, tenant: 'default', sale: sale.id, type: 'order.reserved' },
        ...{ from_state: null, to_state: 'reserved', cause: 'checkout', detail: null },
      },
    ]);
    expect((await seen()).some((event) => event.order_id === before[0])).toBe(false);
  });

  test('skips nothing and hands over nothing twice while transactions overlap, end in any order, and fail', async () => {
    const { sink, name, seen } = tableSink();
    run([sink]);
    await started(name);
    const orders = await ledgerOrders(db, sale, [{}, {}, {}, {}]);
    const clients = await Promise.all(
      orders.map(async () => {
        const client = new pg.Client({ connectionString: ledger.url });
        await client.connect();
        return client;
      }),
    );
    let random = 7;
    const chance = (below: number) => {
      random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
      return random % below;
    };
    // Each order has its own connection, so an order's events are written one after another.
    const open = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const at = chance(clients.length);
      const client = clients[at];
      if (!open.has(at)) {
        await client.query('BEGIN');
        open.add(at);
      }
      await note(client, orders[at]);
      if (chance(3) === 0) {
        await client.query(chance(4) === 0 ? 'ROLLBACK' : 'COMMIT');
        open.delete(at);
      }
    }
    for (const at of open) await clients[at].query('COMMIT');
    await Promise.all(clients.map((client) => client.end()));
    const expected = await written(orders);
    await vi.waitFor(async () => expect(await seen()).toHaveLength(expected.length), WAIT);
    // Also in this order, so each order's events one after another.
    expect(ids(await seen())).toEqual(expected);
  });

  test('one dispatcher works for a sink at a time, and another takes over', async () => {
    const { sink, name, seen } = tableSink();
    const stops = [run([sink]), run([sink]), run([sink])];
    await started(name);
    const orders: string[] = [];
    for (let i = 0; i < 5; i++) orders.push(...(await ledgerOrders(db, sale, [{}, {}])));
    await stops[0]();
    orders.push(...(await ledgerOrders(db, sale, [{}, {}])));
    await stops[1]();
    orders.push(...(await ledgerOrders(db, sale, [{}, {}])));
    const expected = await written(orders);
    await vi.waitFor(async () => expect(await seen()).toHaveLength(expected.length), WAIT);
    expect(ids(await seen())).toEqual(expected);
  });

  test('two that both believe to be active still hand each event over once', async () => {
    const { sink, name, seen } = tableSink();
    await db.query({
      text: 'INSERT INTO outbox_cursors VALUES ($1, (SELECT max(id) FROM order_events))',
      values: [name],
    });
    const orders = await ledgerOrders(db, sale, [{}, {}, {}]);
    const expected = await written(orders);
    const upto = Math.max(...expected);
    const done = await Promise.all([
      dispatch(db, sink, upto),
      dispatch(db, sink, upto),
      dispatch(db, sink, upto),
    ]);
    expect(done.map((one) => one.taken).sort()).toEqual([0, 0, 3]);
    expect(ids(await seen())).toEqual(expected);
  });

  test('a sink that fails delays only itself, and misses nothing', async () => {
    let failing = true;
    const bad = tableSink({
      before: () => {
        if (failing) throw new Error('not now');
      },
    });
    const good = tableSink();
    const registry = new Registry();
    run([bad.sink, good.sink], { registry });
    await Promise.all([started(bad.name), started(good.name)]);
    const orders = await ledgerOrders(db, sale, [{}, {}]);
    const expected = await written(orders);
    await vi.waitFor(async () => expect(ids(await good.seen())).toEqual(expected), WAIT);
    expect(await bad.seen()).toEqual([]);
    await vi.waitFor(async () => {
      const text = await registry.metrics();
      expect(text).toMatch(new RegExp(`stampede_outbox_failures_total{sink="${bad.name}"} [1-9]`));
      expect(text).toContain(`stampede_outbox_lag_events{sink="${bad.name}"} 2`);
      expect(text).toMatch(new RegExp(`stampede_outbox_lag_seconds{sink="${bad.name}"} 0?\\.?[0-9.]*[1-9]`));
      expect(text).toContain(`stampede_outbox_lag_events{sink="${good.name}"} 0`);
      expect(text).toContain(`stampede_outbox_events_total{sink="${good.name}"} 2`);
    }, WAIT);
    failing = false;
    await vi.waitFor(async () => expect(ids(await bad.seen())).toEqual(expected), WAIT);
  });

  test('what a sink does not want moves its cursor and is not handed over', async () => {
    const none = tableSink({ wants: async () => 'none' });
    const some = tableSink({ wants: async () => ({ types: ['order.note'], tenants: ['default'] }) });
    const foreign = tableSink({ wants: async () => ({ tenants: ['somebody-else'] }) });
    run([none.sink, some.sink, foreign.sink]);
    await Promise.all([started(none.name), started(some.name), started(foreign.name)]);
    const [order] = await ledgerOrders(db, sale, [{}]);
    await note(db as unknown as pg.Client, order);
    const expected = await written([order]);
    await vi.waitFor(async () => expect(ids(await some.seen())).toEqual(expected.slice(1)), WAIT);
    await vi.waitFor(async () => {
      const { rows } = await db.query<{ position: number }>({
        text: 'SELECT position FROM outbox_cursors WHERE sink = ANY ($1)',
        values: [[none.name, some.name, foreign.name]],
      });
      expect(rows.map((row) => row.position)).toEqual(Array(3).fill(expected[1]));
    }, WAIT);
    expect(await none.seen()).toEqual([]);
    expect(await foreign.seen()).toEqual([]);
  });

  test('a sink that asks for it begins with the first event there is, in batches', async () => {
    const { sink, seen } = tableSink({ from: 'start' });
    await ledgerOrders(db, sale, Array(1_500).fill({}));
    run([sink]);
    const { rows } = await db.query<{ id: number }>('SELECT id FROM order_events ORDER BY id');
    await vi.waitFor(async () => expect(await seen()).toHaveLength(rows.length), WAIT);
    expect(ids(await seen())).toEqual(rows.map((row) => row.id));
  });

  test('goes on when its connection was cut', async () => {
    const { sink, name, seen } = tableSink();
    run([sink]);
    await started(name);
    const first = await ledgerOrders(db, sale, [{}]);
    await vi.waitFor(async () => expect(await seen()).toHaveLength(1), WAIT);
    await db.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'stampede-outbox' AND datname = current_database()`);
    const second = await ledgerOrders(db, sale, [{}]);
    await vi.waitFor(async () => expect(await seen()).toHaveLength(2), WAIT);
    expect(ids(await seen())).toEqual(await written([...first, ...second]));
  });
});
