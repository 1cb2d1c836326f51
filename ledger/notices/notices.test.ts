/** Claims find what is due by key, however much waits. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, testLedger } from '../../test/support/ledger.ts';
import { readsOver } from '../../test/support/table-reads.ts';
import { claimNotices } from './claim-notices.ts';
import { insertNotices } from './insert-notices.ts';
import { settleNotices } from './settle-notices.ts';

const WAITING = 2_000;
let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let orders: string[];
beforeAll(async () => {
  ledger = await testLedger();
  db = createPool({ url: ledger.url, max: 1, application_name: 'notices', on_error: () => {} });
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: WAITING }] });
  orders = await ledgerOrders(db, sale, Array(WAITING / 2).fill({}));
});
afterAll(async () => {
  await db.end();
  await ledger.close();
});

const TABLES = ['notices', 'orders'];

test('a claim reads what it takes, not all that wait, and one of an order at a time', async () => {
  const notices = Array.from({ length: WAITING }, (_, i) => ({
    ...{ event_id: i + 1, order_id: orders[i % orders.length] as string, notice: 'expired' },
    ...{
      channel: 'email' as const,
      recipient: 'zoe@example.com',
      detail: null,
      event_at: new Date(),
      skip: null,
    },
  }));
  expect(await insertNotices(db, notices)).toBe(WAITING);
  const claim = () =>
    claimNotices(db, { channel: 'email', limit: 10, lease_ms: 60_000, domain: 'shop.example' });
  const claimed: Awaited<ReturnType<typeof claim>> = [];
  // Often enough that plans are made once and kept.
  for (let i = 0; i < 10; i++) {
    expect(await readsOver(400, db, TABLES, async () => claimed.push(...(await claim())))).toBeUndefined();
  }
  expect(new Set(claimed.map(({ order_id }) => order_id)).size).toBe(100);
  expect(claimed.every(({ event_id }) => event_id <= orders.length)).toBe(true);
  const sent = claimed.map(({ id, tries }) => ({
    ...{ id, tries, state: 'sent' as const, error: null, message_id: null, wait_ms: 0, deferred: false },
  }));
  expect(await readsOver(1_000, db, TABLES, () => settleNotices(db, sent))).toBeUndefined();
  expect(await settleNotices(db, sent)).toBe(0);
});
