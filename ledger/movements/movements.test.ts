import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Pool } from '../../platform/postgres.ts';
import {
  ledgerOrders,
  ledgerSale,
  setHeartbeat,
  type TestSale,
  testLedger,
} from '../../test/support/ledger.ts';
import { lockKey } from '../locks.ts';
import { failOrders } from '../orders/fail-orders.ts';
import { followedSale } from '../stream/cursor.ts';
import { markLoaded } from '../stream/mark-loaded.ts';
import { ackBatch } from './ack-batch.ts';
import { earliestHold, readBatch } from './read-batch.ts';
import { releaseWork } from './release-work.ts';
import { sealBatch } from './seal-batch.ts';

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
const move = (qty: number, on: Pick<Pool, 'query'> = db) =>
  on.query({
    text: `INSERT INTO movements (sale_no, sku, to_available, from_held) VALUES ($1, 'a', $2, 0)`,
    values: [sale.sale_no, qty],
  });
const units = async (n: number) => (await readBatch(db, sale.sale_no, n)).items[0]?.to_available;

describe('sealing', () => {
  test('numbers what there is, one batch in flight, and reads it the same ever after', async () => {
    const ids = await ledgerOrders(db, sale, [
      { buyer: 'x', lines: [{ sku: 'a', qty: 2 }] },
      {
        buyer: 'x',
        lines: [
          { sku: 'a', qty: 1 },
          { sku: 'b', qty: 4 },
        ],
      },
      { buyer: 'y', lines: [{ sku: 'b', qty: 1 }], limit_units: 0 },
    ]);
    expect(await sealBatch(db, sale.sale_no)).toBeUndefined();
    await failOrders(db, ids, BY);
    expect(await releaseWork(db)).toContain(sale.sale_no);
    expect(await sealBatch(db, sale.sale_no)).toEqual({ n: 1, movements: 4 });
    await move(9);
    expect(await sealBatch(db, sale.sale_no)).toBeUndefined();
    const batch = await readBatch(db, sale.sale_no, 1);
    expect(batch.items).toEqual([
      { sku: 'a', to_available: 3, from_held: 3 },
      { sku: 'b', to_available: 5, from_held: 5 },
    ]);
    expect(batch.buyers).toHaveLength(1);
    expect(batch.buyers[0].units).toBe(7);
    await ackBatch(db, sale.sale_no, { n: 1, epoch: 1 });
    await ackBatch(db, sale.sale_no, { n: 1, epoch: 1 });
    expect(await sealBatch(db, sale.sale_no)).toEqual({ n: 2, movements: 1 });
    expect(await readBatch(db, sale.sale_no, 1)).toEqual(batch);
    expect(await units(2)).toBe(9);
    await ackBatch(db, sale.sale_no, { n: 2, epoch: 1 });
    expect(await releaseWork(db)).not.toContain(sale.sale_no);
    expect(await followedSale(db, sale.sale_no)).toMatchObject({ sealed_n: 2, acked_n: 2 });
  });

  test('is bounded, and takes the oldest first', async () => {
    for (const qty of [1, 2, 4]) await move(qty);
    expect(await sealBatch(db, sale.sale_no, { movements_max: 2 })).toEqual({ n: 1, movements: 2 });
    expect(await units(1)).toBe(3);
    await ackBatch(db, sale.sale_no, { n: 1, epoch: 1 });
    expect(await sealBatch(db, sale.sale_no, { movements_max: 2 })).toEqual({ n: 2, movements: 1 });
    expect(await units(2)).toBe(4);
  });

  test('loses none that becomes visible later under a lower id', async () => {
    const slow = await db.connect();
    await slow.query('BEGIN');
    await move(100, slow);
    await move(1);
    expect(await sealBatch(db, sale.sale_no)).toEqual({ n: 1, movements: 1 });
    expect(await units(1)).toBe(1);
    await ackBatch(db, sale.sale_no, { n: 1, epoch: 1 });
    await slow.query('COMMIT');
    slow.release();
    expect(await sealBatch(db, sale.sale_no)).toEqual({ n: 2, movements: 1 });
    expect(await units(2)).toBe(100);
  });

  test('waits for whoever seals, and then sees what that one did', async () => {
    await move(1);
    const holder = await db.connect();
    await holder.query({ text: 'SELECT pg_advisory_lock($1)', values: [lockKey('seal', sale.sale_no)] });
    const waiting = sealBatch(db, sale.sale_no);
    await waitsForLock();
    // What the holder seals while the other waits.
    await holder.query({ text: 'UPDATE movements SET n = 1 WHERE sale_no = $1', values: [sale.sale_no] });
    await holder.query({
      text: 'UPDATE cursors SET sealed_n = 1, acked_n = 1 WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    await move(2);
    await holder.query({ text: 'SELECT pg_advisory_unlock($1)', values: [lockKey('seal', sale.sale_no)] });
    holder.release();
    expect(await waiting).toEqual({ n: 2, movements: 1 });
    expect([await units(1), await units(2)]).toEqual([1, 2]);
  });

  test('by many at once gives each number once and each movement one number', async () => {
    for (let round = 1; round <= 10; round++) {
      await Promise.all([move(1), ...Array.from({ length: 5 }, () => sealBatch(db, sale.sale_no)), move(1)]);
      const { sealed_n } = await followedSale(db, sale.sale_no);
      await ackBatch(db, sale.sale_no, { n: sealed_n, epoch: 1 });
    }
    await sealBatch(db, sale.sale_no);
    const { rows } = await db.query({
      text: 'SELECT count(*) AS movements, max(n) AS n, count(DISTINCT n) AS numbers, count(n) AS sealed FROM movements WHERE sale_no = $1',
      values: [sale.sale_no],
    });
    const { sealed_n } = await followedSale(db, sale.sale_no);
    expect(rows[0]).toEqual({ movements: 20, n: sealed_n, numbers: sealed_n, sealed: 20 });
  });

  test('does not happen before the sale is loaded', async () => {
    sale = await ledgerSale(db);
    await move(1);
    expect(await sealBatch(db, sale.sale_no)).toBeUndefined();
    expect(await releaseWork(db)).not.toContain(sale.sale_no);
  });
});

/** Until somebody waits for an advisory lock. */
async function waitsForLock(): Promise<void> {
  for (;;) {
    const { rowCount } = await db.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`);
    if (rowCount) return;
  }
}

test('earliestHold tells when the oldest hold of the sale ends', async () => {
  expect(await earliestHold(db, sale.sale_no)).toBeUndefined();
  const [first] = await ledgerOrders(db, sale, [{ left_ms: 30_000 }, { left_ms: 90_000 }]);
  expect(await earliestHold(db, sale.sale_no)).toBeGreaterThan(20_000);
  expect(await earliestHold(db, sale.sale_no)).toBeLessThanOrEqual(30_000);
  await failOrders(db, [first], BY);
  expect(await earliestHold(db, sale.sale_no)).toBeGreaterThan(80_000);
});
