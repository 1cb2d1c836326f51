import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EVENT_TYPES } from '../../domain/event-types.ts';
import { types } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, type TestSale, testLedger } from '../../test/support/ledger.ts';
import { createHorizon, type Horizon } from './horizon.ts';
import { readEvents } from './read-events.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let sale: TestSale;
const open: pg.Client[] = [];
beforeAll(async () => {
  ledger = await testLedger();
  sale = await ledgerSale(ledger.db, { items: [{ sku: 'a', qty: 1_000 }] });
});
afterAll(async () => {
  await Promise.all(open.map((client) => client.end()));
  await ledger.close();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ledger.url, types });
  open.push(client);
  await client.connect();
  return client;
}

/** A transaction that has written an event and is not over. Returns the event's id. */
async function begin(client: pg.Client, order_id: string): Promise<number> {
  await client.query('BEGIN');
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
     VALUES ($1, 'reserved', 'reserved', 'note', 'test') RETURNING id`,
    [order_id],
  );
  return rows[0].id;
}

/** Looks until it is so: others in this Postgres may hold the horizon back for a moment. */
const until = (look: () => Promise<Horizon>, check: (horizon: Horizon) => void): Promise<Horizon> =>
  vi.waitFor(
    async () => {
      const horizon = await look();
      check(horizon);
      return horizon;
    },
    { timeout: 15_000, interval: 20 },
  );

describe('the horizon', () => {
  test('stays below an id that may still become visible, and passes it when its transaction ends either way', async () => {
    const [order] = await ledgerOrders(ledger.db, sale, [{}]);
    const [a, b, c, watcher] = await Promise.all([connect(), connect(), connect(), connect()]);
    const look = createHorizon(watcher);
    const start = await until(look, ({ safe_id, last_id }) => expect(safe_id).toBe(last_id));

    const first = await begin(a, order);
    // Nobody else has a number: the snapshot's xmax is the writer's own, and must not be taken for a bound.
    expect((await look()).safe_id).toBeLessThan(first);
    expect((await look()).safe_id).toBeLessThan(first);
    const second = await begin(b, order);
    const third = await begin(c, order);
    await b.query('COMMIT');
    // The later one is visible, the earlier one is not.
    const range = { after: start.safe_id, upto: third, limit: 10 };
    expect((await readEvents(ledger.db, range)).map((event) => event.id)).toEqual([second]);
    for (let i = 0; i < 3; i++) expect((await look()).safe_id).toBeLessThan(first);

    await a.query('ROLLBACK');
    // The mark made while the first was open covers the first alone; what came after takes a mark of its own.
    await until(look, ({ safe_id }) => expect(safe_id).toBe(first));
    expect((await look()).safe_id).toBe(first);
    await c.query('COMMIT');
    await until(look, (horizon) => expect(horizon).toEqual({ safe_id: third, last_id: third }));
    expect((await readEvents(ledger.db, range)).map((event) => event.id)).toEqual([second, third]);
  });

  test('a writer with a higher number than all that have ended is waited for, too', async () => {
    const [order] = await ledgerOrders(ledger.db, sale, [{}]);
    const [a, b, watcher] = await Promise.all([connect(), connect(), connect()]);
    // b has its number first and ends first; a took an id in between and has the higher number.
    await b.query('BEGIN');
    await b.query('SELECT pg_current_xact_id()');
    const id = await begin(a, order);
    const look = createHorizon(watcher);
    await look();
    await b.query('COMMIT');
    for (let i = 0; i < 3; i++) expect((await look()).safe_id).toBeLessThan(id);
    await a.query('COMMIT');
    await until(look, ({ safe_id }) => expect(safe_id).toBeGreaterThanOrEqual(id));
  });

  test('ids come one by one: a connection that kept some for later would break it', async () => {
    const { rows } = await ledger.db.query(
      `SELECT seqcache AS cache, seqincrement AS step FROM pg_sequence WHERE seqrelid = 'order_events_id_seq'::regclass`,
    );
    expect(rows).toEqual([{ cache: 1, step: 1 }]);
  });

  test('who takes an id has a number by then, also where the event is all that it writes', async () => {
    const [order] = await ledgerOrders(ledger.db, sale, [{}]);
    const a = await connect();
    await a.query('BEGIN');
    await a.query(`
      CREATE FUNCTION pg_temp.number_when_taken() RETURNS bigint VOLATILE LANGUAGE plpgsql AS $$
      BEGIN RETURN coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0); END $$`);
    await a.query('COMMIT');
    await a.query('BEGIN');
    // The column's value is worked out row by row, as the id is.
    const { rows } = await a.query<{ cause: string }>(
      `INSERT INTO order_events (order_id, to_state, cause, actor)
       SELECT $1, 'reserved', pg_temp.number_when_taken(), 'test' RETURNING cause`,
      [order],
    );
    expect(Number(rows[0].cause)).toBeGreaterThan(0);
    await a.query('ROLLBACK');
  });
});

describe('names of events', () => {
  test('are those of the catalogue, whatever the ledger writes', async () => {
    const named = async (from: string | null, to: string, cause: string) => {
      const { rows } = await ledger.db.query<{ type: string }>(
        'SELECT order_event_type($1::text, $2::text, $3::text) AS type',
        [from, to, cause],
      );
      return rows[0].type;
    };
    const { rows: edges } = await ledger.db.query<{ from_state: string; to_state: string }>(
      'SELECT DISTINCT from_state, to_state FROM order_transitions',
    );
    const found = new Set([await named(null, 'reserved', 'checkout'), await named(null, 'rejected', 'fit')]);
    for (const { from_state, to_state } of edges) found.add(await named(from_state, to_state, 'checkout'));
    for (const cause of [
      'payment_captured',
      'payment_declined',
      'payment_voided',
      'payment_refunded',
      'partially_refunded',
      'refund_refused',
      'shipment_recorded',
    ]) {
      found.add(await named('confirmed', 'confirmed', cause));
    }
    expect([...found].sort()).toEqual([...EVENT_TYPES].sort());
    expect(await named('reserved', 'payment_failed', 'payment_declined')).toBe('order.payment_failed');
  });
});
