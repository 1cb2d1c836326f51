/** What is sealed and what is read of the orders are one moment, whatever commits right before and right after. */
import type { Redis } from 'ioredis';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { auditOrders } from '../../ledger/audit.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { saleKeys } from '../../lua/keys.ts';
import { connect } from '../../lua/testing/sale.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { pastDeadline, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';
import { rebuildSale } from './rebuild-sale.ts';

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
beforeEach(() => setHeartbeat(db));

type Seen = (name: string, when: 'before' | 'after') => Promise<void> | void;

/** A pool that tells of each statement of ours, by name, or by its text where it has none. */
function watched(seen: Seen): Pool {
  const pool = createPool({ url: ledger.url, max: 4, application_name: 'watched', on_error: () => {} });
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const telling = async (...args: unknown[]) => {
      if (typeof args.at(-1) === 'function') return query(...args);
      const [first] = args as [string | (pg.QueryConfig & { name?: string })];
      const name = typeof first === 'string' ? first : (first.name ?? first.text);
      await seen(name, 'before');
      const result = await query(...args);
      await seen(name, 'after');
      return result;
    };
    Object.assign(client, { query: telling });
  });
  return pool;
}

const MOMENTS = [
  ['rebuild_lock_stock', 'before'],
  ['rebuild_note_turn', 'after'],
  ['COMMIT', 'after'],
] as const;

test.each(MOMENTS)(
  'an order that expires at %s (%s) gives its units and limit back once',
  async (name, when) => {
    const sale = await rig({ db, redis, limit: 4 });
    await sale.settle();
    const { order_ids } = await sale.reserve([{ buyer: 'x' }, { buyer: 'x' }]);
    await sale.settle();
    await pastDeadline(db, order_ids.slice(0, 1));
    let turned = false;
    let expired: Promise<unknown> | undefined;
    const pool = watched(async (statement, moment) => {
      turned ||= statement === 'rebuild_note_turn';
      // Of all commits it is the one that ends the sealing.
      if (expired || statement !== name || moment !== when || (name === 'COMMIT' && !turned)) return;
      expired = expireDue(db, { limit: 10 });
      // While the stock is locked it has to wait.
      if (name !== 'rebuild_note_turn') await expired;
    });
    const why = { reason: 'operator', actor: 'me' };
    expect(await rebuildSale({ ...sale.deps, db: pool }, sale.sale_no, why)).toEqual({ kind: 'rebuilt' });
    await pool.end();
    await expired;
    sale.follower.lookAgain();
    await sale.settle();
    const before = name === 'rebuild_lock_stock';
    const k = saleKeys(placeOf(await sale.sale()));
    expect(await redis.hvals(k.buyers)).toEqual([before ? '1' : '2']);
    expect(await redis.hget(k.available, 'a')).toBe(before ? '99' : '98');
    expect(await sale.release()).toBe(!before);
    await sale.settle();
    expect(await redis.hvals(k.buyers)).toEqual(['1']);
    expect(await sale.audit()).toMatchObject({
      balanced: true,
      live: { kind: 'agrees' },
      fenced_reason: null,
    });
    expect(await auditOrders(db, sale.sale_no)).toEqual([]);
  },
);
