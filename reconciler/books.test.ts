/**
 * The books under random histories: buyers, payments, operators, crashes of the workers and restarts of their
 * memory in any order. After every step the ledger balances at its cursor; in the end Redis agrees with it to the
 * unit, each order is there once, and every buyer's limit counts what the buyer has.
 */
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buyerHash } from '../domain/ids.ts';
import { auditOrders } from '../ledger/audit.ts';
import { sealBatch } from '../ledger/movements/seal-batch.ts';
import { authorizeOrders } from '../ledger/orders/authorize-orders.ts';
import { cancelOrder } from '../ledger/orders/cancel-order.ts';
import { confirmOrders } from '../ledger/orders/confirm-orders.ts';
import { expireDue } from '../ledger/orders/expire-due.ts';
import { failOrders } from '../ledger/orders/fail-orders.ts';
import { topup } from '../ledger/sales/topup.ts';
import { saleKeys } from '../lua/keys.ts';
import { fence, reduce } from '../lua/scripts.ts';
import { connect } from '../lua/testing/sale.ts';
import type { Pool } from '../platform/postgres.ts';
import { hash16, pastDeadline, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { type Rig, rig } from '../test/support/reconciler.ts';
import { testRedis } from '../test/support/redis.ts';
import { placeOf } from './sale-place.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

const SKUS = ['a', 'b', 'c'];
const BUYERS = ['x', 'y', 'z'];
const LIMIT = 8;
const BY = { cause: 'test', actor: 'test' };

const line = fc.record({ sku: fc.constantFrom(...SKUS), qty: fc.integer({ min: 1, max: 4 }) });
const request = fc.record({
  buyer: fc.constantFrom(...BUYERS),
  key: fc.integer({ min: 1, max: 12 }).map(String),
  lines: fc.uniqueArray(line, { minLength: 1, maxLength: 3, selector: (l) => l.sku }),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      requests: fc.array(request, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('ingest', 'release', 'seal', 'restart', 'fence') }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('authorize', 'confirm', 'fail', 'cancel', 'expire', 'ship'),
      pick: fc.nat({ max: 1_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('topup', 'reduce'),
      line,
      key: fc.nat({ max: 1_000_000_000 }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function orders(
  sale: Rig,
): Promise<{ id: string; state: string; buyer: string; limit_units: number }[]> {
  const { rows } = await db.query({
    text: 'SELECT id, state, buyer, limit_units FROM orders WHERE sale_no = $1 ORDER BY id',
    values: [sale.sale_no],
  });
  return rows;
}

async function take(sale: Rig, step: Step, acknowledged: Set<string>): Promise<void> {
  const row = await sale.sale();
  switch (step.do) {
    case 'reserve': {
      const requests = (
        step as { requests: { buyer: string; key: string; lines: { sku: string; qty: number }[] }[] }
      ).requests;
      const { statuses, order_ids } = await sale.reserve(requests);
      for (const [i, id] of order_ids.entries()) if (statuses[i] === 'a') acknowledged.add(id);
      return;
    }
    case 'ingest':
      await sale.follower.step();
      return;
    case 'release':
      await sale.release();
      return;
    case 'seal':
      // Sealed, and then the releaser dies.
      await sealBatch(db, sale.sale_no, 2);
      return;
    case 'restart':
      // As Redis with appendfsync always comes back: everything there, another identity.
      await redis.hset(saleKeys(placeOf(row)).record, 'identity', 'another');
      return;
    case 'fence':
      await fence(redis, placeOf(row));
      return;
    case 'topup':
    case 'reduce': {
      const { line: item, key } = step as { line: { sku: string; qty: number }; key: number };
      const fingerprint = hash16(JSON.stringify(item));
      const request = { fingerprint, items: [item] };
      if (step.do === 'topup')
        await topup(db, { ...request, tenant: row.tenant, sale: row.sale, key: String(key) });
      else
        await reduce(
          redis,
          placeOf(row),
          { ...request, id: hash16(String(key)), request_id: String(key) },
          Date.now(),
        );
      return;
    }
    default:
      return change(sale, step as { do: string; pick: number });
  }
}

async function change(sale: Rig, step: { do: string; pick: number }): Promise<void> {
  const known = await orders(sale);
  if (known.length === 0) return;
  const { id, buyer, state } = known[step.pick % known.length];
  switch (step.do) {
    case 'authorize':
      await authorizeOrders(db, [id], BY);
      return;
    case 'confirm':
      await confirmOrders(db, [id], BY);
      return;
    case 'fail':
      await failOrders(db, [id], BY);
      return;
    case 'cancel':
      await cancelOrder(db, { tenant: (await sale.sale()).tenant, order_id: id, buyer });
      return;
    case 'expire':
      await pastDeadline(db, [id]);
      await expireDue(db, { limit: 10 });
      return;
    case 'ship':
      if (state === 'confirmed')
        await db.query({ text: `UPDATE orders SET state = 'shipped' WHERE id = $1`, values: [id] });
  }
}

test('balance through every history', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const sale = await rig({ db, redis, limit: LIMIT, items: SKUS.map((sku) => ({ sku, qty: 6 })) });
      await sale.settle();
      const acknowledged = new Set<string>();
      for (const one of steps) {
        await take(sale, one, acknowledged);
        const audit = await sale.audit();
        expect([one.do, audit.balanced, audit.live.kind === 'differs']).toEqual([one.do, true, false]);
      }
      do await sale.settle();
      while ((await sale.release()) || (await isUnderWay(sale)));
      const audit = await sale.audit();
      expect(audit).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
      expect(await auditOrders(db, sale.sale_no)).toEqual([]);
      const known = await orders(sale);
      expect(known.map((order) => order.id)).toEqual([...acknowledged].sort());
      await expectLimits(sale, known);
    }),
    { numRuns: 40 },
  );
}, 120_000);

/** A batch that the fence refused is applied once the sale is open again. */
async function isUnderWay(sale: Rig): Promise<boolean> {
  const { acked_n, sealed_n } = await sale.sale();
  return acked_n < sealed_n;
}

async function expectLimits(sale: Rig, known: Awaited<ReturnType<typeof orders>>): Promise<void> {
  const row = await sale.sale();
  for (const buyer of BUYERS) {
    const owned = known.filter(
      (o) => o.buyer === buyer && !['expired', 'canceled', 'payment_failed'].includes(o.state),
    );
    const units = owned.reduce((sum, order) => sum + order.limit_units, 0);
    const counted = await redis.hgetBuffer(saleKeys(placeOf(row)).buyers, buyerHash(row.salt, buyer));
    expect(Number(counted ?? 0)).toBe(units);
    expect(units).toBeLessThanOrEqual(LIMIT);
  }
}
