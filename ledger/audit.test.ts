import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Pool } from '../platform/postgres.ts';
import {
  hash16,
  ledgerOrders,
  ledgerSale,
  setHeartbeat,
  type TestSale,
  testLedger,
} from '../test/support/ledger.ts';
import { auditOrders, auditSale, type LiveStock } from './audit.ts';
import { sealBatch } from './movements/seal-batch.ts';
import { authorizeOrders } from './orders/authorize-orders.ts';
import { confirmOrders } from './orders/confirm-orders.ts';
import { failOrders } from './orders/fail-orders.ts';
import { wantRebuild } from './rebuild/begin-rebuild.ts';
import { topup } from './sales/topup.ts';
import { markLoaded } from './stream/mark-loaded.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let sale: TestSale;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  await setHeartbeat(db);
});
afterAll(() => ledger.close());
beforeEach(async () => {
  sale = await ledgerSale(db);
  await markLoaded(db, sale.sale_no, { epoch: 1, gate_version: 1 });
});

const BY = { cause: 'test', actor: 'test' };
const audit = () => auditSale(db, sale.sale_no);
/** What Redis would have told by an apply entry of the batch. */
const toldBatch = (n: number) =>
  db.query({
    text: `WITH moved AS (
             UPDATE skus k SET told_available = told_available + m.a, told_held = told_held - m.h
             FROM (SELECT sku, sum(to_available) AS a, sum(from_held) AS h FROM movements WHERE sale_no = $1 AND n = $2 GROUP BY sku) m
             WHERE k.sale_no = $1 AND k.sku = m.sku)
           UPDATE cursors SET applied_n = $2 WHERE sale_no = $1`,
    values: [sale.sale_no, n],
  });

test('the books balance through a sale: at every step, sealed or not, applied or not', async () => {
  expect(await audit()).toMatchObject({ balanced: true, imbalance: 0, live: { kind: 'not_asked' } });
  const ids = await ledgerOrders(db, sale, [
    {
      lines: [
        { sku: 'a', qty: 3 },
        { sku: 'b', qty: 1 },
      ],
    },
    {},
    {},
  ]);
  expect((await audit()).balanced).toBe(true);
  await authorizeOrders(db, ids.slice(0, 2), BY);
  await confirmOrders(db, ids.slice(0, 1), BY);
  await failOrders(db, ids.slice(1), BY);
  expect(await audit()).toMatchObject({
    balanced: true,
    skus: [{ sku: 'a', sold: 3, waiting_to_available: 2, waiting_from_held: 5 }, { sku: 'b' }],
  });
  await sealBatch(db, sale.sale_no);
  await topup(db, {
    tenant: 'default',
    sale: sale.id,
    key: 'k',
    fingerprint: hash16('k'),
    items: [{ sku: 'a', qty: 50 }],
  });
  expect((await audit()).balanced).toBe(true);
  await toldBatch(1);
  expect(await audit()).toMatchObject({
    balanced: true,
    applied_n: 1,
    skus: [{ told_available: 97, told_held: 0, waiting_to_available: 50 }, { told_available: 99 }],
  });
  expect(await auditOrders(db, sale.sale_no)).toEqual([]);
});

test('a unit too many or too few is seen, on either side', async () => {
  await ledgerOrders(db, sale, [{}]);
  const change = (column: string, by: number) =>
    db.query({
      text: `UPDATE skus SET ${column} = ${column} + $2 WHERE sale_no = $1 AND sku = 'a'`,
      values: [sale.sale_no, by],
    });
  for (const column of ['told_available', 'told_held', 'total', 'sold']) {
    await change(column, 1);
    const seen = await audit();
    expect([column, seen.balanced, seen.imbalance]).toEqual([column, false, 1]);
    await change(column, -1);
  }
  await change('reserved', 1);
  expect(await audit()).toMatchObject({ balanced: false, imbalance: 2 });
  expect(await auditOrders(db, sale.sale_no)).toEqual([
    { sku: 'a', reserved: 2, sold: 0, orders_reserved: 1, orders_sold: 0 },
  ]);
});

test('Redis is compared only where both stand at the same position of the same epoch', async () => {
  const live = (change: Partial<LiveStock>): LiveStock => ({
    epoch: 1,
    seq: 0,
    available: new Map([
      ['a', 100],
      ['b', 100],
    ]),
    held: new Map(),
    ...change,
  });
  const check = async (stock: LiveStock | null) => {
    const { live: kind, balanced } = await auditSale(db, sale.sale_no, () => Promise.resolve(stock));
    return [kind, balanced];
  };
  expect(await check(live({}))).toEqual([{ kind: 'agrees' }, true]);
  expect(await check(live({ seq: 3, available: new Map() }))).toEqual([{ kind: 'ahead', entries: 3 }, true]);
  expect(await check(live({ epoch: 2 }))).toEqual([{ kind: 'not_comparable', reason: 'epoch' }, true]);
  expect(await check(null)).toEqual([{ kind: 'not_comparable', reason: 'missing' }, true]);
  expect(
    await check(
      live({
        available: new Map([
          ['a', 101],
          ['b', 100],
        ]),
      }),
    ),
  ).toEqual([{ kind: 'differs', skus: [{ sku: 'a', available: 1, held: 0 }] }, false]);
  await db.query({ text: 'UPDATE cursors SET seq = 5 WHERE sale_no = $1', values: [sale.sale_no] });
  expect(await check(live({ seq: 4 }))).toEqual([{ kind: 'not_comparable', reason: 'behind' }, true]);
});

test('what a memory that is given up told is not held against the books, until the sale is sealed', async () => {
  const live = () => Promise.resolve({ epoch: 1, seq: 0, available: new Map(), held: new Map() });
  const imbalanced = { balanced: false, imbalance: 7, live: { kind: 'differs' } };
  await db.query({
    text: `UPDATE skus SET told_available = told_available - 7 WHERE sale_no = $1 AND sku = 'a'`,
    values: [sale.sale_no],
  });
  expect(await auditSale(db, sale.sale_no, live)).toMatchObject(imbalanced);
  const id = await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'test' });
  const phases = ['wanted', 'draining', 'sealing', 'staging', 'switching'] as const;
  for (const phase of phases) {
    await db.query({ text: 'UPDATE rebuilds SET phase = $2 WHERE id = $1', values: [id, phase] });
    const said = await auditSale(db, sale.sale_no, live);
    if (phase === 'draining' || phase === 'sealing') {
      const silent = { balanced: null, imbalance: 0, live: { kind: 'not_comparable', reason: 'recovering' } };
      expect(said).toMatchObject({ ...silent, skus: [{ available_off: -7 }, {}] });
    } else expect(said).toMatchObject(imbalanced);
  }
  await db.query({
    text: `UPDATE rebuilds SET phase = 'done', finished_at = now() WHERE id = $1`,
    values: [id],
  });
  expect(await auditSale(db, sale.sale_no, live)).toMatchObject(imbalanced);
});
