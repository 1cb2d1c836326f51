/** What the deeper audit finds, whoever did it, and that it finds nothing where nothing is wrong. */
import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AUDIT_CHECKS, readChecks } from '../../ledger/audit-checks.ts';
import { connect } from '../../lua/testing/sale.ts';
import { createLog } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import type { Rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { closedSale } from '../../verify/testing/closed-sale.ts';
import { createReconcilerMetrics } from '../metrics.ts';
import { createDeepAudit } from './deep-audit.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
let sale: Rig;
let undo: string[] = [];
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
  sale = await closedSale({ db, redis });
});
afterEach(async () => {
  await unseen(...undo);
  undo = [];
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

/** Whatever these statements do, no trigger sees it. */
async function unseen(...sql: string[]): Promise<void> {
  const client = await db.connect();
  await client.query(`SET session_replication_role = replica`);
  for (const one of sql) await client.query(one.replaceAll('$sale', String(sale.sale_no)));
  await client.query(`RESET session_replication_role`);
  client.release();
}

function audit(options: { behind?: () => boolean } = {}) {
  const registry = new Registry();
  let now_ms = 0;
  const deep = createDeepAudit({
    ...{
      db,
      log: createLog({ level: 'silent', service: 'test' }),
      metrics: createReconcilerMetrics(registry),
    },
    ...{ followed: () => [sale.sale_no], now_ms: () => now_ms, ...options },
  });
  return {
    deep,
    later: (ms: number) => {
      now_ms += ms;
    },
    async wrong(): Promise<string[]> {
      const { values } = await registry.getSingleMetric('stampede_audit_violations')!.get();
      return values.filter(({ value }) => value > 0).map(({ labels }) => String(labels.check));
    },
  };
}

async function stored(): Promise<string[]> {
  const checks = await readChecks(db, sale.sale_no);
  return checks.filter(({ violations }) => violations > 0).map(({ check }) => check);
}

const ONE = `(SELECT min(id) FROM orders WHERE sale_no = $sale AND state = 'confirmed')`;
const SOME = (state: string) => `(SELECT min(id) FROM orders WHERE sale_no = $sale AND state = '${state}')`;
const FIRST = `(SELECT min(id) FROM order_events WHERE order_id = ${ONE})`;

test('nothing is wrong with a sale that has seen everything', async () => {
  const { deep, wrong } = audit();
  await deep.stepAll();
  await deep.stepSales();
  expect(await wrong()).toEqual([]);
  expect((await readChecks(db, sale.sale_no)).map(({ check }) => check).sort()).toEqual(
    [...AUDIT_CHECKS].sort(),
  );
  expect(await stored()).toEqual([]);
});

test.each<[check: string, what: string, does: string, undone: string]>([
  [
    'amounts',
    'a quantity',
    `UPDATE order_items SET qty = 2 WHERE order_id = ${ONE} AND line = 1`,
    `UPDATE order_items SET qty = 1 WHERE order_id = ${ONE} AND line = 1`,
  ],
  [
    'events',
    'a state',
    `UPDATE orders SET state = 'expired' WHERE id = ${SOME('canceled')}`,
    `UPDATE orders SET state = 'canceled' WHERE id = (SELECT max(id) FROM orders WHERE sale_no = $sale AND state = 'expired' AND id IN (SELECT order_id FROM order_events WHERE to_state = 'canceled'))`,
  ],
  [
    'events',
    'a beginning',
    `UPDATE order_events SET from_state = 'reserved' WHERE id = ${FIRST}`,
    `UPDATE order_events SET from_state = NULL WHERE id = ${FIRST}`,
  ],
  [
    'money',
    'goods without money',
    `UPDATE attempts SET state = 'voided' WHERE order_id = ${ONE}`,
    `UPDATE attempts SET state = 'captured' WHERE order_id = ${ONE}`,
  ],
  [
    'money',
    'another amount',
    `UPDATE attempts SET amount = amount + 1 WHERE order_id = ${ONE}`,
    `UPDATE attempts SET amount = amount - 1 WHERE order_id = ${ONE}`,
  ],
  [
    'money',
    'money without goods',
    `UPDATE attempts SET state = 'captured', reversal_wanted = false WHERE order_id = ${SOME('canceled')}`,
    `UPDATE attempts SET state = 'refunded', reversal_wanted = true WHERE order_id = ${SOME('canceled')}`,
  ],
  [
    'authorizations',
    'one that lapsed',
    `UPDATE attempts SET state = 'authorized', capture_by = now() - interval '2 hours' WHERE order_id = ${ONE}`,
    `UPDATE attempts SET state = 'captured', capture_by = NULL WHERE order_id = ${ONE}`,
  ],
  [
    'gate',
    'a reservation after the close',
    `UPDATE orders SET seq = seq + 1000 WHERE id = ${ONE}`,
    `UPDATE orders SET seq = seq - 1000 WHERE id = ${ONE}`,
  ],
  [
    'counters',
    'a counter',
    `UPDATE skus SET sold = sold + 1 WHERE sale_no = $sale AND sku = 'a'`,
    `UPDATE skus SET sold = sold - 1 WHERE sale_no = $sale AND sku = 'a'`,
  ],
  [
    'returns',
    'units twice',
    `INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, n) VALUES ($sale, ${ONE}, 'a', 1, 0, 1)`,
    `DELETE FROM movements WHERE sale_no = $sale AND order_id = ${ONE} AND to_available > 0`,
  ],
  [
    'limits',
    'a limit',
    `UPDATE sales SET limit_per_buyer = 1 WHERE sale_no = $sale`,
    `UPDATE sales SET limit_per_buyer = 5 WHERE sale_no = $sale`,
  ],
  [
    'stock',
    'units from nowhere',
    `UPDATE skus SET total = total + 1, told_available = told_available + 1 WHERE sale_no = $sale AND sku = 'a'`,
    `UPDATE skus SET total = total - 1, told_available = told_available - 1 WHERE sale_no = $sale AND sku = 'a'`,
  ],
])(
  '%s: %s is found, told by the metric and in the table, and over when it is mended',
  async (check, _, does, undone) => {
    const { deep, wrong, later } = audit();
    undo = [undone];
    await unseen(does);
    const look = async () => {
      await deep.stepAll();
      await deep.stepSales();
      await deep.stepChanged();
      later(3_600_000);
    };
    await look();
    expect(await wrong()).toContain(check);
    expect(await stored()).toContain(check);
    await unseen(undone);
    undo = [];
    await look();
    expect(await wrong()).toEqual([]);
    expect(await stored()).toEqual([]);
  },
);

test('an order is looked at soon after something happened to it, and again while it is wrong', async () => {
  const { deep, wrong, later } = audit();
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM orders WHERE sale_no = $1',
    values: [sale.sale_no],
  });
  undo = [`UPDATE attempts SET amount = amount - 1 WHERE order_id = ${ONE}`];
  await unseen(`UPDATE attempts SET amount = amount + 1 WHERE order_id = ${ONE}`);
  deep.see(rows.map(({ id }) => id));
  expect(await deep.stepChanged()).toBe('idle');
  expect(await wrong()).toEqual(['money']);
  await unseen(...undo);
  undo = [];
  await deep.stepChanged();
  expect(await wrong()).toEqual(['money']);
  later(60_000);
  await deep.stepChanged();
  expect(await wrong()).toEqual([]);
});

test('it waits while ingest is behind, and takes its share of the time', async () => {
  const waiting = audit({ behind: () => true });
  waiting.deep.see(['x']);
  expect(await waiting.deep.stepChanged()).toBe('slow');
  const { deep, wrong, later } = audit();
  undo = [`UPDATE skus SET sold = sold - 1 WHERE sale_no = $sale AND sku = 'a'`];
  await deep.stepSales();
  await unseen(`UPDATE skus SET sold = sold + 1 WHERE sale_no = $sale AND sku = 'a'`);
  expect(await deep.stepSales()).toBe('slow');
  expect(await wrong()).toEqual([]);
  later(10_000);
  await deep.stepSales();
  expect(await wrong()).toEqual(['counters']);
});
