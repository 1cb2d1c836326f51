/**
 * The books under random histories: buyers, payments, operators, crashes of the workers and restarts of their
 * memory in any order. After every step the ledger balances at its cursor; in the end Redis agrees with it to the
 * unit, each order is there once, and every buyer's limit counts what the buyer has.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buyerHash, limitCounter } from '../domain/ids.ts';
import { auditOrders } from '../ledger/audit.ts';
import { sealBatch } from '../ledger/movements/seal-batch.ts';
import { authorizeOrders } from '../ledger/orders/authorize-orders.ts';
import { cancelOrder } from '../ledger/orders/cancel-order.ts';
import { confirmOrders } from '../ledger/orders/confirm-orders.ts';
import { deliverOrder } from '../ledger/orders/deliver-order.ts';
import { expireDue } from '../ledger/orders/expire-due.ts';
import { failOrders } from '../ledger/orders/fail-orders.ts';
import { refundOrder } from '../ledger/orders/refund-order.ts';
import { returnOrder } from '../ledger/orders/return-order.ts';
import { recordShipment } from '../ledger/payments/record-shipment.ts';
import { wantRebuild } from '../ledger/rebuild/begin-rebuild.ts';
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
    arbitrary: fc.record({ do: fc.constantFrom('ingest', 'release', 'seal', 'restart', 'fence', 'rebuild') }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...['authorize', 'confirm', 'sell', 'sell', 'fail', 'cancel', 'expire'],
        ...['ship', 'ship', 'deliver', 'refund', 'refund restocking', 'return', 'return restocking'],
      ),
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
): Promise<{ id: string; state: string; buyer: string; limit_units: number; restock: boolean }[]> {
  const { rows } = await db.query({
    text: 'SELECT id, state, buyer, limit_units, restock FROM orders WHERE sale_no = $1 ORDER BY id',
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
      await sealBatch(db, sale.sale_no, { movements_max: 2 });
      return;
    case 'restart':
      // As Redis with appendfsync always comes back: everything there, another identity.
      await redis.hset(saleKeys(placeOf(row)).record, 'identity', 'another');
      return;
    case 'fence':
      await fence(redis, placeOf(row));
      return;
    case 'rebuild':
      await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'test' });
      sale.follower.lookAgain();
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
  const { id, buyer } = known[step.pick % known.length];
  if (await operate(sale, id, step.do)) return;
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
  }
}

const noJobs = () => Promise.resolve();

/** What is done to one order by whoever sells, sends and takes back. Undefined: none of it is called that. */
async function operate(sale: Rig, order_id: string, what: string): Promise<{ kind: string } | undefined> {
  const { tenant } = await sale.sale();
  const [verb, restocking] = what.split(' ');
  const order = { tenant, order_id, actor: 'operator:test' };
  const request = {
    ...order,
    ...{ key: randomUUID(), fingerprint: hash16(what), reason: null, restock: restocking === 'restocking' },
  };
  switch (verb) {
    case 'sell': {
      await authorizeOrders(db, [order_id], BY);
      const sold = await confirmOrders(db, [order_id], BY);
      if (sold.length > 0) await paid(order_id);
      return { kind: sold.length > 0 ? 'sold' : 'passed over' };
    }
    case 'ship':
      return recordShipment(db, order, noJobs);
    case 'deliver':
      return deliverOrder(db, order);
    case 'refund':
      return refundOrder(db, request, { reverse: noJobs, refund: noJobs });
    case 'return':
      return returnOrder(db, request, noJobs);
  }
  return undefined;
}

async function paid(order_id: string): Promise<void> {
  await db.query({
    text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state)
      SELECT id, 1, 'sandbox', 'card', 'pm_ok', total, currency, 'captured' FROM orders WHERE id = $1`,
    values: [order_id],
  });
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

/** How an order that was sold may go on, and whether its units are for sale again in the end. */
const FATES: readonly { steps: readonly string[]; again: boolean }[] = [
  { steps: ['sell'], again: false },
  { steps: ['sell', 'ship'], again: false },
  { steps: ['sell', 'ship', 'deliver'], again: false },
  { steps: ['sell', 'cancel'], again: true },
  ...[['sell'], ['sell', 'ship'], ['sell', 'ship', 'deliver']].flatMap((road) => [
    { steps: [...road, 'refund'], again: false },
    { steps: [...road, 'refund restocking'], again: true },
  ]),
  ...[
    ['sell', 'ship'],
    ['sell', 'ship', 'deliver'],
  ].flatMap((road) => [
    { steps: [...road, 'return'], again: false },
    { steps: [...road, 'return restocking'], again: true },
  ]),
];

/** Orders take turns as drawn; workers do something in between; every step is taken twice at once. */
const schedule = fc.record({
  turns: fc.array(fc.nat({ max: 1_000 }), { minLength: 60, maxLength: 60 }),
  workers: fc.array(fc.constantFrom('ingest', 'release', 'seal', 'restart', 'fence', 'nothing'), {
    minLength: 60,
    maxLength: 60,
  }),
});

test('every way an order that was sold can go on gives its units back once or never, whatever the workers do meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ turns, workers }) => {
      const sale = await rig({ db, redis, limit: 3, items: [{ sku: 'a', qty: 3 * FATES.length }] });
      await sale.settle();
      const lives = FATES.map((fate, i) => ({ ...fate, buyer: `buyer-${i}`, left: [...fate.steps], id: '' }));
      const { order_ids } = await sale.reserve(
        lives.map(({ buyer }) => ({ buyer, lines: [{ sku: 'a', qty: 3 }] })),
      );
      await sale.settle();
      for (const [i, life] of lives.entries()) life.id = order_ids[i];
      for (const [i, turn] of turns.entries()) {
        const living = lives.filter(({ left }) => left.length > 0);
        if (living.length === 0) break;
        const { id, buyer, left } = living[turn % living.length];
        const what = left.shift() ?? '';
        const { tenant } = await sale.sale();
        const once = () =>
          what === 'cancel' ? cancelOrder(db, { tenant, order_id: id, buyer }) : operate(sale, id, what);
        const kinds = (await Promise.all([once(), once()])).map((outcome) => outcome?.kind);
        const done = kinds.filter((kind) => /^(sold|canceled|shipped|delivered|done)$/.test(kind ?? ''));
        expect([what, kinds, done.length]).toEqual([what, kinds, 1]);
        if (workers[i] !== 'nothing') await take(sale, { do: workers[i] } as Step, new Set());
        expect(await sale.audit()).toMatchObject({ balanced: true });
      }
      do await sale.settle();
      while ((await sale.release()) || (await isUnderWay(sale)));
      const again = lives.filter((life) => life.again);
      const sold = 3 * (FATES.length - again.length);
      expect(await sale.audit()).toMatchObject({
        ...{ balanced: true, live: { kind: 'agrees' }, fenced_reason: null },
        skus: [
          { total: 3 * FATES.length, reserved: 0, sold, told_available: 3 * again.length, told_held: 0 },
        ],
      });
      expect(await auditOrders(db, sale.sale_no)).toEqual([]);
      const row = await sale.sale();
      for (const { buyer, again, steps } of lives) {
        const counted = await redis.hgetBuffer(
          saleKeys(placeOf(row)).buyers,
          limitCounter(buyerHash(row.salt, buyer)),
        );
        expect([steps, Number(counted ?? 0)]).toEqual([steps, again ? 0 : 3]);
      }
      const { rows } = await db.query({
        text: `SELECT order_id, sum(to_available)::int AS units, sum(buyer_units)::int AS limit FROM movements
          WHERE order_id = ANY ($1) AND to_available > 0 GROUP BY order_id`,
        values: [order_ids],
      });
      expect(rows.length).toBe(again.length);
      for (const { units, limit } of rows) expect([units, limit]).toEqual([3, 3]);
    }),
    { numRuns: 8 },
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
      (o) => o.buyer === buyer && !['expired', 'canceled', 'payment_failed'].includes(o.state) && !o.restock,
    );
    const units = owned.reduce((sum, order) => sum + order.limit_units, 0);
    const counted = await redis.hgetBuffer(
      saleKeys(placeOf(row)).buyers,
      limitCounter(buyerHash(row.salt, buyer)),
    );
    expect(Number(counted ?? 0)).toBe(units);
    expect(units).toBeLessThanOrEqual(LIMIT);
  }
}
