/**
 * Statements find their rows by key although the planner believes that there are hardly any: how many index entries
 * they read must not grow with how many orders hold stock.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool, withTransaction } from '../platform/postgres.ts';
import { ledgerOrders, ledgerSale, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { sealBatch } from './movements/seal-batch.ts';
import { authorizeOrders } from './orders/authorize-orders.ts';
import { confirmOrders } from './orders/confirm-orders.ts';
import { failOrders } from './orders/fail-orders.ts';
import { listOrders } from './orders/list-orders.ts';
import { recordAttempts } from './payments/record-attempts.ts';
import { settleAttempts } from './payments/settle-attempts.ts';
import { markLoaded } from './stream/mark-loaded.ts';

const BY = { cause: 'test', actor: 'test' };
let ledger: Awaited<ReturnType<typeof testLedger>>;
/** One connection: its statistics are flushed when we say. */
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = createPool({ url: ledger.url, max: 1, application_name: 'plans', on_error: () => {} });
  await db.query('ALTER TABLE orders SET (autovacuum_enabled = off)');
  await db.query('ALTER TABLE attempts SET (autovacuum_enabled = off)');
  await db.query('ALTER TABLE movements SET (autovacuum_enabled = off)');
  await setHeartbeat(db);
  // What the planner goes by from now on: a sale that is over, nobody holds anything, nothing is unsealed.
  const over = await ledgerSale(db, { items: [{ sku: 'a', qty: 1_000 }] });
  await markLoaded(db, over.sale_no, { epoch: 1, gate_version: 1 });
  await failOrders(db, await ledgerOrders(db, over, Array(1_000).fill({})), BY);
  await sealBatch(db, over.sale_no);
  await db.query('VACUUM ANALYZE');
});
afterAll(async () => {
  await db.end();
  await ledger.close();
});

const HELD = 5_000;
const CHUNK = 100;

/** Rows and index entries read by `work`. */
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

test('confirming a hundred orders, and sealing their movements, reads a hundred and not all that are held', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: HELD }] });
  await markLoaded(db, sale.sale_no, { epoch: 1, gate_version: 1 });
  const ids: string[] = [];
  for (let i = 0; i < HELD; i += 500) ids.push(...(await ledgerOrders(db, sale, Array(500).fill({}))));
  const chunks = Array.from({ length: 8 }, (_, i) => ids.slice(i * CHUNK, (i + 1) * CHUNK));
  const bound = 40 * CHUNK;
  // Often enough that plans are made once and kept.
  for (const chunk of chunks.slice(0, 4)) {
    expect(await reads(() => withTransaction(db, (tx) => authorizeOrders(tx, chunk, BY)))).toBeLessThan(
      bound,
    );
    expect(await reads(() => withTransaction(db, (tx) => confirmOrders(tx, chunk, BY)))).toBeLessThan(bound);
  }
  for (const chunk of chunks.slice(4)) {
    const news = await withTransaction(db, async (tx) => {
      const attempts = await recordAttempts(tx, chunk, { psp: 'sandbox', look_again_ms: 1_000 });
      return attempts.map(({ id }) => ({ id, state: 'authorized' as const, look_again_ms: 1_000 }));
    });
    expect(await reads(() => withTransaction(db, (tx) => settleAttempts(tx, news)))).toBeLessThan(bound);
  }
  const unsealed = 8 * CHUNK;
  expect(await reads(() => sealBatch(db, sale.sale_no))).toBeLessThan(4 * unsealed);
});

test('a page of orders reads what it looks at, and not the whole sale', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: HELD }] });
  for (let i = 0; i < HELD; i += 500) await ledgerOrders(db, sale, Array(500).fill({}));
  const page = (change: object) => listOrders(db, { tenant: 'default', limit: 50, seen_max: 200, ...change });
  const { next } = await page({});
  for (let i = 0; i < 8; i++) {
    for (const change of [{}, { sale: sale.id }, { after: next }, { state: 'delivered', after: next }]) {
      expect(await reads(() => page(change))).toBeLessThan(1_000);
    }
  }
});
