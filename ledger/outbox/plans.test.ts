/** What reading a range of events reads must not grow with how many orders there are, whatever the planner believes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, testLedger } from '../../test/support/ledger.ts';
import { readsOver, undisturbed } from '../../test/support/table-reads.ts';
import { readEvents } from './read-events.ts';

const TABLES = ['order_events', 'orders', 'sales'];
let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = createPool({ url: ledger.url, max: 1, application_name: 'plans', on_error: () => {} });
  await undisturbed(db, TABLES);
});
afterAll(async () => {
  await db.end();
  await ledger.close();
});

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
      const over = await readsOver(1_000, db, TABLES, () => readEvents(db, { ...range, ...filter }));
      expect([filter, i, over]).toEqual([filter, i, undefined]);
    }
  }
});
