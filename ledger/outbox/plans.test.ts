/** What reading a range of events reads must not grow with how many orders there are, whatever the planner believes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, testLedger } from '../../test/support/ledger.ts';
import { readEvents } from './read-events.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
/** One connection: its statistics are flushed when we say. */
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = createPool({ url: ledger.url, max: 1, application_name: 'plans', on_error: () => {} });
  await db.query('ALTER TABLE orders SET (autovacuum_enabled = off)');
  await db.query('ALTER TABLE order_events SET (autovacuum_enabled = off)');
});
afterAll(async () => {
  await db.end();
  await ledger.close();
});

async function reads(work: () => Promise<unknown>): Promise<number> {
  const total = async () => {
    await db.query('SELECT pg_stat_force_next_flush()');
    await db.query('SELECT pg_stat_clear_snapshot()');
    const { rows } = await db.query<{ total: number }>(`
      SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)::bigint
        + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)::bigint AS total`);
    return rows[0].total;
  };
  const before = await total();
  await work();
  return (await total()) - before;
}

test('a range of events is read by its ids', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 10_000 }], limit: 0 });
  // What the planner goes by: one order, and a long history.
  const [first] = await ledgerOrders(db, sale, [{}]);
  await db.query({
    text: `INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
           SELECT $1, 'reserved', 'reserved', 'note', 'test' FROM generate_series(1, 20000)`,
    values: [first],
  });
  await db.query('VACUUM ANALYZE');
  for (let i = 0; i < 5; i++) await ledgerOrders(db, sale, Array(1_000).fill({}));
  const { rows } = await db.query<{ last: number }>('SELECT max(id) AS last FROM order_events');
  const range = { after: rows[0].last - 100, upto: rows[0].last, limit: 1_000 };
  for (const filter of [
    {},
    { types: ['order.reserved'] },
    { tenants: ['default'] },
    { tenants: ['nobody'] },
  ]) {
    // Often enough that plans are made once and kept.
    for (let i = 0; i < 7; i++) {
      const cost = await reads(() => readEvents(db, { ...range, ...filter }));
      expect([filter, cost < 1_000]).toEqual([filter, true]);
    }
  }
});
