/**
 * A rebuild that ends or stands still between any two of its steps, with movements at every stage: the next reconciler
 * finishes it, and one that wakes up late changes nothing.
 */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dayOf } from '../../domain/ids.ts';
import { auditOrders } from '../../ledger/audit.ts';
import { sealBatch } from '../../ledger/movements/seal-batch.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { bucketKey, saleKeys } from '../../lua/keys.ts';
import { gate } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { interruptible } from '../../test/sequences/interrupt.ts';
import { pastDeadline, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, type RigRequest, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { followSale } from '../ingest/follow-sale.ts';
import { placeOf } from '../sale-place.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

/** Calls after which a rebuild has surely ended. */
const CALLS_MAX = 200;
/** Every how many-th call is tried: all of them with REBUILD_EVERY=1. */
const EVERY = Number(process.env.REBUILD_EVERY ?? 3);

const KEYS: RigRequest[] = ['applied', 'sealed', 'unsealed', 'held', 'new'].map((key, i) => ({
  ...{ key, buyer: `b${i % 2}` },
  lines: [
    { sku: 'b', qty: 1 },
    { sku: 'a', qty: 2 },
  ],
}));

type Prepared = { sale: Rig; order_ids: string[] };

/**
 * Movements that Redis has applied, that are sealed and not sent, and that are not sealed; an order that the ledger has not
 * ingested; and a rebuild that is wanted, or that comes because Redis has lost the sale.
 */
async function prepared(lost: boolean): Promise<Prepared> {
  await setHeartbeat(db);
  const sale = await rig({ db, redis, limit: 20 });
  await sale.settle();
  const known = await sale.reserve(KEYS.slice(0, lost ? 5 : 4));
  await sale.settle();
  const expire = async (id: string) => {
    await pastDeadline(db, [id]);
    await expireDue(db, { limit: 10 });
  };
  await expire(known.order_ids[0]);
  await sale.release();
  await expire(known.order_ids[1]);
  await sealBatch(db, sale.sale_no);
  await expire(known.order_ids[2]);
  if (lost) {
    await dropAll(sale);
    return { sale, order_ids: known.order_ids };
  }
  const late = await sale.reserve(KEYS.slice(4));
  await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
  return { sale, order_ids: [...known.order_ids, ...late.order_ids] };
}

async function dropAll(sale: Rig): Promise<void> {
  const place = placeOf(await sale.sale());
  await redis.del(...Object.values(saleKeys(place)), bucketKey(place, dayOf(Date.now())));
}

async function isRight({ sale, order_ids }: Prepared): Promise<void> {
  sale.follower.lookAgain();
  await sale.settle();
  expect(await sale.reserve(KEYS)).toEqual({ statuses: 'rrrrr', order_ids });
  // Two of five are held, three have come back.
  expect(await counters(sale)).toEqual({
    ...{ available: { a: '96', b: '98' }, held: { a: '4', b: '2' } },
    buyers: ['3', '3'],
  });
  await sale.release();
  await sale.settle();
  expect(await sale.audit()).toMatchObject({
    ...{ balanced: true, live: { kind: 'agrees' }, fenced_reason: null },
  });
  expect(await auditOrders(db, sale.sale_no)).toEqual([]);
  // And whatever of another generation is still there goes by itself.
  const row = await sale.sale();
  const mine = new Set([
    ...Object.values(saleKeys(placeOf(row))),
    bucketKey(placeOf(row), dayOf(Date.now())),
  ]);
  for (const key of await redis.keys(`st:{${row.tenant}:*`)) {
    if (!mine.has(key)) expect([key, await redis.pttl(key)]).not.toEqual([key, -1]);
  }
}

async function counters(sale: Rig) {
  const k = saleKeys(placeOf(await sale.sale()));
  return {
    available: await redis.hgetall(k.available),
    held: await redis.hgetall(k.held),
    buyers: Object.values(await redis.hgetall(k.buyers)),
  };
}

/** Steps until it is done with the rebuild, or cannot go on. */
async function rebuildWith(sale: Rig, deps: { db: Pool; redis: Redis }): Promise<void> {
  const follower = followSale({ ...sale.deps, ...deps }, sale.sale_no);
  for (let step = 0; step < 20; step++) {
    await follower.step();
    const { generation, rebuild, opened_epoch, epoch } = await sale.sale();
    if (generation > 1 && rebuild === null && opened_epoch === epoch) return;
  }
}

for (const lost of [false, true]) {
  const what = lost ? 'Redis has lost the sale' : 'a rebuild is wanted';
  test(`${what}: a reconciler that dies after any call is followed by one that finishes`, async () => {
    for (let after_calls = 0; after_calls < CALLS_MAX; after_calls += EVERY) {
      const state = await prepared(lost);
      const first = interruptible({ db, redis });
      first.arm({ kind: 'crash', after_calls, when: 'before' });
      await rebuildWith(state.sale, first).catch((error: unknown) => {
        if (!first.dead()) throw error;
      });
      await isRight(state);
      if (!first.dead()) {
        expect(after_calls).toBeGreaterThan(30);
        return;
      }
    }
    throw new Error('it never came to its end');
  });

  test(`${what}: a reconciler that stands still after any call and goes on late changes nothing`, async () => {
    for (let after_calls = 1; after_calls < CALLS_MAX; after_calls += EVERY) {
      const state = await prepared(lost);
      const first = interruptible({ db, redis });
      first.arm({ kind: 'pause', after_calls, when: 'before' });
      const paused = first.paused().then(() => true);
      const running = rebuildWith(state.sale, first).then(
        () => false,
        () => false,
      );
      if (!(await Promise.race([paused, running]))) {
        expect(after_calls).toBeGreaterThan(30);
        await isRight(state);
        return;
      }
      state.sale.follower.lookAgain();
      await state.sale.settle();
      const before = [await counters(state.sale), await state.sale.sale()];
      first.wake();
      // It may find that it is too late, or that all is done.
      await running;
      expect(await counters(state.sale)).toEqual(before[0]);
      await isRight(state);
    }
    throw new Error('it never came to its end');
  });
}

test('a gate that is shut at any moment of a rebuild is shut when the sale is open again', async () => {
  /** Shut between the last look at the ledger and the script that opens: nobody was told, and it is sent again. */
  const late: number[] = [];
  for (let after_calls = 1; after_calls < CALLS_MAX; after_calls += EVERY) {
    const { sale } = await prepared(false);
    const first = interruptible({ db, redis });
    first.arm({ kind: 'pause', after_calls, when: 'before' });
    const running = rebuildWith(sale, first);
    const over = running.then(() => false);
    if (!(await Promise.race([first.paused().then(() => true), over]))) {
      expect(after_calls).toBeGreaterThan(30);
      expect(late.length).toBeLessThanOrEqual(2);
      return;
    }
    const row = await sale.sale();
    const shut = await setGate(db, row.tenant, 'sale', 'pause');
    if (shut.kind !== 'set') throw new Error(shut.kind);
    const told = await gate(redis, placeOf(row), shut);
    first.wake();
    // The connection that stood still may be gone: the next attempt.
    await running.catch(() => rebuildWith(sale, sale.deps));
    let { statuses } = await sale.reserve([{}]);
    if (statuses !== 'p' && told.kind === 'refused') {
      late.push(after_calls);
      await sale.release();
      statuses = (await sale.reserve([{}])).statuses;
    }
    expect([after_calls, statuses]).toEqual([after_calls, 'p']);
  }
  throw new Error('it never came to its end');
});
