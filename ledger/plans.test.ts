/**
 * Statements find their rows by key although the planner believes that there are hardly any: how many index entries
 * they read must not grow with how many orders hold stock.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool, type Queryable, withTransaction } from '../platform/postgres.ts';
import { ledgerOrders, ledgerSale, pastDeadline, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { readsOver, undisturbed } from '../test/support/table-reads.ts';
import { sealBatch } from './movements/seal-batch.ts';
import { authorizeOrders } from './orders/authorize-orders.ts';
import { confirmOrders } from './orders/confirm-orders.ts';
import { expireDue } from './orders/expire-due.ts';
import { failOrders } from './orders/fail-orders.ts';
import { listOrders } from './orders/list-orders.ts';
import { recordAttempts } from './payments/record-attempts.ts';
import { settleAttempts } from './payments/settle-attempts.ts';
import { markLoaded } from './stream/mark-loaded.ts';

const BY = { cause: 'test', actor: 'test' };
const TABLES = ['orders', 'order_items', 'order_events', 'attempts', 'movements', 'skus', 'sales', 'cursors'];
let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = createPool({ url: ledger.url, max: 1, application_name: 'plans', on_error: () => {} });
  await undisturbed(db, TABLES);
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

/** In a transaction. */
const over = (most: number, work: (tx: Queryable) => Promise<unknown>) =>
  readsOver(most, db, TABLES, () => withTransaction(db, work));

test('confirming a hundred orders, and sealing their movements, reads a hundred and not all that are held', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: HELD }] });
  await markLoaded(db, sale.sale_no, { epoch: 1, gate_version: 1 });
  const ids: string[] = [];
  for (let i = 0; i < HELD; i += 500) ids.push(...(await ledgerOrders(db, sale, Array(500).fill({}))));
  const chunks = Array.from({ length: 8 }, (_, i) => ids.slice(i * CHUNK, (i + 1) * CHUNK));
  const bound = 40 * CHUNK;
  // Often enough that plans are made once and kept.
  for (const chunk of chunks.slice(0, 4)) {
    expect(await over(bound, (tx) => authorizeOrders(tx, chunk, BY))).toBeUndefined();
    expect(await over(bound, (tx) => confirmOrders(tx, chunk, BY))).toBeUndefined();
  }
  for (const chunk of chunks.slice(4)) {
    const news = await withTransaction(db, async (tx) => {
      const attempts = await recordAttempts(tx, chunk, { psp: 'sandbox', look_again_ms: 1_000 });
      return attempts.map(({ id }) => ({ id, state: 'authorized' as const, look_again_ms: 1_000 }));
    });
    expect(await over(bound, (tx) => settleAttempts(tx, news))).toBeUndefined();
  }
  const unsealed = 8 * CHUNK;
  expect(await readsOver(4 * unsealed, db, TABLES, () => sealBatch(db, sale.sale_no))).toBeUndefined();
});

test('ending a hundred holds reads a hundred, and neither the others nor the attempts to pay them', async () => {
  // Of this one the planner knows nothing at all.
  const fresh = await testLedger();
  const only = createPool({ url: fresh.url, max: 1, application_name: 'plans', on_error: () => {} });
  try {
    await undisturbed(only, TABLES);
    await setHeartbeat(only);
    const sale = await ledgerSale(only, { items: [{ sku: 'a', qty: HELD }] });
    const ids: string[] = [];
    for (let i = 0; i < HELD; i += 500) ids.push(...(await ledgerOrders(only, sale, Array(500).fill({}))));
    for (let i = 0; i < HELD; i += 500)
      await recordAttempts(only, ids.slice(i, i + 500), { psp: 'sandbox', look_again_ms: 1_000 });
    for (let i = 0; i < 8; i++) {
      await pastDeadline(only, ids.slice(i * CHUNK, (i + 1) * CHUNK));
      const expired: string[] = [];
      const expire = async () => expired.push(...(await expireDue(only, { limit: CHUNK })));
      expect(await readsOver(40 * CHUNK, only, TABLES, expire)).toBeUndefined();
      expect(expired).toHaveLength(CHUNK);
    }
  } finally {
    await only.end();
    await fresh.close();
  }
});

test('a page of orders reads what it looks at, and not the whole sale', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: HELD }] });
  for (let i = 0; i < HELD; i += 500) await ledgerOrders(db, sale, Array(500).fill({}));
  const page = (change: object) => listOrders(db, { tenant: 'default', limit: 50, seen_max: 200, ...change });
  const { next } = await page({});
  for (let i = 0; i < 8; i++) {
    for (const change of [{}, { sale: sale.id }, { after: next }, { state: 'delivered', after: next }]) {
      expect(await readsOver(1_000, db, TABLES, () => page(change))).toBeUndefined();
    }
  }
});
