import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EXPIRED_HOLDS_MAX, EXPIRED_HOLDS_PAUSE_MS } from '../../domain/limits.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import {
  hash16,
  ledgerOrders,
  ledgerSale,
  pastDeadline,
  setHeartbeat,
  stateOf,
  stockOf,
  type TestSale,
  testLedger,
} from '../../test/support/ledger.ts';
import { beat } from '../heartbeat.ts';
import { markLoaded } from '../stream/mark-loaded.ts';
import { authorizeOrders } from './authorize-orders.ts';
import { cancelOrder } from './cancel-order.ts';
import { confirmOrder } from './confirm-order.ts';
import { confirmOrders } from './confirm-orders.ts';
import { expireDue } from './expire-due.ts';
import { failOrders } from './fail-orders.ts';
import { findOrder } from './find-order.ts';
import { pausedBuyers } from './paused-buyers.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let sale: TestSale;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
});
afterAll(() => ledger.close());
beforeEach(async () => {
  await setHeartbeat(db);
  // What an earlier test left over its deadline.
  await expireDue(db, { limit: 1_000 });
  sale = await ledgerSale(db);
});

const BY = { cause: 'test', actor: 'test' };
const owned = (order_id: string, buyer = 'buyer') => ({ tenant: 'default', order_id, buyer });
const noJobs = () => Promise.resolve();
const givenBack = async (orderId: string) => {
  const { rows } = await db.query({
    text: 'SELECT sum(to_available)::bigint AS units FROM movements WHERE order_id = $1',
    values: [orderId],
  });
  return rows[0].units;
};

describe('bulk transitions', () => {
  test('take those that may go and pass over the others', async () => {
    const ids = await ledgerOrders(db, sale, [{}, {}, {}]);
    await failOrders(db, [ids[2]], BY);
    expect((await authorizeOrders(db, [...ids, 'unknown'], BY)).sort()).toEqual([ids[0], ids[1]].sort());
    expect(await authorizeOrders(db, ids, BY)).toEqual([]);
    expect(await confirmOrders(db, [ids[0], ids[2]], BY)).toEqual([ids[0]]);
    expect(await failOrders(db, ids, BY)).toEqual([ids[1]]);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 1 } });
  });

  test('nothing is authorized or confirmed once the hold is over, swept or not', async () => {
    const ids = await ledgerOrders(db, sale, [{}, {}]);
    await authorizeOrders(db, [ids[1]], BY);
    await pastDeadline(db, ids);
    expect(await authorizeOrders(db, ids, BY)).toEqual([]);
    expect(await confirmOrders(db, ids, BY)).toEqual([]);
  });

  test('opposite orders of the same rows do not deadlock', async () => {
    const lines = [
      { sku: 'a', qty: 1 },
      { sku: 'b', qty: 1 },
    ];
    const ids = await ledgerOrders(
      db,
      sale,
      Array.from({ length: 40 }, () => ({ lines })),
    );
    const backwards = [...ids].reverse();
    await Promise.all([
      ...Array.from({ length: 10 }, (_, i) =>
        withTransaction(db, (tx) => authorizeOrders(tx, i % 2 ? ids : backwards, BY)),
      ),
    ]);
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        withTransaction(db, async (tx) => {
          await confirmOrders(tx, i % 2 ? ids.slice(i * 2) : backwards.slice(i * 2), BY);
        }),
      ),
    );
    expect(await stockOf(db, sale.sale_no)).toMatchObject({
      a: { reserved: 0, sold: 40 },
      b: { reserved: 0, sold: 40 },
    });
  });
});

describe('expireDue', () => {
  test('ends holds that are over, those of many sales at once, and no others', async () => {
    const other = await ledgerSale(db);
    const due = await ledgerOrders(db, sale, [{}, {}]);
    const [elsewhere] = await ledgerOrders(db, other, [{}]);
    const [running] = await ledgerOrders(db, sale, [{}]);
    const [paid] = await ledgerOrders(db, sale, [{}]);
    await authorizeOrders(db, [due[1], paid], BY);
    await confirmOrders(db, [paid], BY);
    await pastDeadline(db, [...due, elsewhere, paid]);
    expect((await expireDue(db, { limit: 100 })).sort()).toEqual([...due, elsewhere].sort());
    expect(await expireDue(db, { limit: 100 })).toEqual([]);
    expect([await stateOf(db, running), await stateOf(db, paid)]).toEqual(['reserved', 'confirmed']);
    expect(await givenBack(due[0])).toBe(1);
  });

  test('goes on in chunks, and leaves rows alone that somebody else is deciding', async () => {
    const ids = await ledgerOrders(db, sale, [{}, {}, {}]);
    await pastDeadline(db, ids);
    const client = await db.connect();
    await client.query('BEGIN');
    await client.query({ text: 'SELECT FROM orders WHERE id = $1 FOR UPDATE', values: [ids[0]] });
    expect(await expireDue(db, { limit: 1 })).toHaveLength(1);
    expect(await expireDue(db, { limit: 100 })).toHaveLength(1);
    expect(await expireDue(db, { limit: 100 })).toEqual([]);
    await client.query('ROLLBACK');
    client.release();
    expect(await expireDue(db, { limit: 100 })).toEqual([ids[0]]);
  });

  test('and confirm, at once, have one winner, and stock goes back only if it expired', async () => {
    for (let round = 0; round < 30; round++) {
      const [id] = await ledgerOrders(db, sale, [{}]);
      await authorizeOrders(db, [id], BY);
      // Confirm has seen the order in time, expiry thinks that it is over: the row decides.
      const confirm = db.query({
        text: `UPDATE orders SET state = 'confirmed', cause = 'test', actor = 'test' WHERE id = $1 AND state = 'authorized'`,
        values: [id],
      });
      const expire = db.query({
        text: `UPDATE orders SET state = 'expired', cause = 'test', actor = 'test' WHERE id = $1 AND state IN ('reserved', 'authorized')`,
        values: [id],
      });
      const [confirmed, expired] = await Promise.all([confirm, expire]);
      expect([confirmed.rowCount, expired.rowCount].sort()).toEqual([0, 1]);
      expect(await givenBack(id)).toBe(expired.rowCount);
    }
  });
});

describe('deadlines and outages of the ledger', () => {
  test('a clock that was ahead for a while costs a grace, not all the time until it has caught up', async () => {
    await setHeartbeat(db, { up_ms: -3_600_000, beat_ms: -3_600_000 });
    await beat(db, { period_ms: 2_000, grace_ms: 30_000 });
    const { rows } = await db.query('SELECT up_since <= now() AND beat_at <= now() AS past FROM heartbeat');
    expect(rows).toEqual([{ past: true }]);
    await setHeartbeat(db);
  });

  test('nobody expires while the heartbeat is older than two periods', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    await pastDeadline(db, ids);
    await setHeartbeat(db, { beat_ms: 4_100 });
    expect(await expireDue(db, { limit: 10 })).toEqual([]);
    expect((await findOrder(db, 'default', ids[0]))?.state).toBe('reserved');
    await setHeartbeat(db, { beat_ms: 3_500 });
    expect(await expireDue(db, { limit: 10 })).toEqual(ids);
  });

  test('after an outage longer than the hold every hold still gets the grace', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    await pastDeadline(db, ids, 300_000);
    await setHeartbeat(db, { up_ms: 3_600_000, beat_ms: 900_000 });
    await beat(db, { period_ms: 2_000, grace_ms: 30_000 });
    expect(await expireDue(db, { limit: 10 })).toEqual([]);
    expect(await authorizeOrders(db, ids, BY)).toEqual(ids);
    await setHeartbeat(db, { up_ms: 29_000 });
    expect(await expireDue(db, { limit: 10 })).toEqual([]);
    await setHeartbeat(db, { up_ms: 30_001 });
    expect(await expireDue(db, { limit: 10 })).toEqual(ids);
  });

  test('beats in time keep the ledger up, and the first beat ever is no end of an outage', async () => {
    const up = async () => {
      const { rows } = await db.query(
        `SELECT up_since = '-infinity' AS ever, up_since > now() - interval '1 second' AS now FROM heartbeat`,
      );
      return rows[0];
    };
    await db.query(`UPDATE heartbeat SET up_since = '-infinity', beat_at = '-infinity'`);
    await beat(db, { period_ms: 2_000, grace_ms: 30_000 });
    expect(await up()).toEqual({ ever: true, now: false });
    await db.query(`UPDATE heartbeat SET beat_at = now() - interval '3.5 seconds'`);
    await beat(db, { period_ms: 2_000, grace_ms: 30_000 });
    expect(await up()).toEqual({ ever: true, now: false });
    await db.query(`UPDATE heartbeat SET beat_at = now() - interval '4.5 seconds'`);
    await beat(db, { period_ms: 2_000, grace_ms: 30_000 });
    expect(await up()).toEqual({ ever: false, now: true });
  });
});

describe('holds that run out', () => {
  const attempt = (order_id: string, state: string, next_action: object | null = null) =>
    db.query({
      text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state, next_action)
        VALUES ($1, 1, 'sandbox', 'card', 'pm', 1000, 'USD', $2, $3)`,
      values: [order_id, state, next_action && JSON.stringify(next_action)],
    });
  const counted = async (buyer: string) => {
    const { rows } = await db.query({
      text: 'SELECT holds FROM expired_holds WHERE sale_no = $1 AND buyer_hash = $2',
      values: [sale.sale_no, hash16(buyer)],
    });
    return rows[0]?.holds ?? 0;
  };
  const expire = async (ids: string[]) => {
    await pastDeadline(db, ids);
    await markLoaded(db, sale.sale_no, { epoch: 1, gate_version: 1 });
    expect((await expireDue(db, { limit: 100 })).sort()).toEqual([...ids].sort());
  };

  test('count against the buyer where it was the buyer’s turn, and not where a provider owed an answer', async () => {
    const redirect = { type: 'redirect', url: 'https://bank.example' };
    const cases: [string, 'lock' | 'checkout', string | undefined, object | null, number][] = [
      ['never paid', 'lock', undefined, null, 1],
      ['declined and gone', 'lock', 'declined', null, 1],
      ['not approved', 'lock', 'pending', redirect, 1],
      ['provider silent', 'lock', 'unknown', null, 0],
      ['provider slow', 'lock', 'pending', { type: 'wait' }, 0],
      ['checkout not approved', 'checkout', 'pending', redirect, 1],
      ['checkout, provider away', 'checkout', 'unknown', null, 0],
      ['checkout, saga late', 'checkout', undefined, null, 0],
    ];
    const ids = await ledgerOrders(
      db,
      sale,
      cases.map(([buyer, road]) => ({ buyer, road })),
    );
    for (const [i, [, , state, next_action]] of cases.entries())
      if (state) await attempt(ids[i], state, next_action);
    await expire(ids);
    for (const [buyer, , , , holds] of cases) expect([buyer, await counted(buyer)]).toEqual([buyer, holds]);
  });

  test('as many as one may: a pause, counted anew after it', async () => {
    const due = async () =>
      (await pausedBuyers(db, 1_000)).filter(({ buyer_hash }) => buyer_hash.equals(hash16('ada')));
    for (let holds = 1; holds <= EXPIRED_HOLDS_MAX; holds++) {
      expect(await due()).toEqual([]);
      await expire(await ledgerOrders(db, sale, [{ buyer: 'ada', road: 'lock' }]));
    }
    const [{ left_ms }] = await due();
    expect(left_ms).toBeGreaterThan(EXPIRED_HOLDS_PAUSE_MS - 60_000);
    expect(left_ms).toBeLessThanOrEqual(EXPIRED_HOLDS_PAUSE_MS);
    await db.query({
      text: `UPDATE expired_holds SET last_at = now() - $1 * interval '1 millisecond'`,
      values: [EXPIRED_HOLDS_PAUSE_MS],
    });
    expect(await due()).toEqual([]);
    await expire(await ledgerOrders(db, sale, [{ buyer: 'ada', road: 'lock' }]));
    expect([await counted('ada'), await due()]).toEqual([1, []]);
  });
});

describe('cancelOrder', () => {
  test('cancels what is not shipped, once, and gives the stock back once, also when two cancel at once', async () => {
    const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer', lines: [{ sku: 'a', qty: 3 }] }]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => cancelOrder(db, owned(id))));
    expect(answers.filter((a) => a.kind === 'canceled')).toHaveLength(1);
    expect(answers.filter((a) => a.kind === 'already')).toHaveLength(7);
    expect(await givenBack(id)).toBe(3);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 0 } });
  });

  test('of a confirmed order takes it out of what is sold', async () => {
    const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer' }]);
    await authorizeOrders(db, [id], BY);
    await confirmOrders(db, [id], BY);
    expect(await cancelOrder(db, owned(id))).toEqual({ kind: 'canceled' });
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 0 } });
  });

  test('says not_found to another buyer and another tenant, over when the hold is over, else the state', async () => {
    const [id, late, shipped, failed] = await ledgerOrders(db, sale, Array(4).fill({ buyer: 'buyer' }));
    expect(await cancelOrder(db, owned(id, 'other'))).toEqual({ kind: 'not_found' });
    expect(await cancelOrder(db, { ...owned(id), tenant: 'other' })).toEqual({ kind: 'not_found' });
    await pastDeadline(db, [late]);
    expect(await cancelOrder(db, owned(late))).toEqual({ kind: 'over' });
    expect(await stateOf(db, late)).toBe('reserved');
    await expireDue(db, { limit: 10 });
    expect(await cancelOrder(db, owned(late))).toEqual({ kind: 'over' });
    await authorizeOrders(db, [shipped], BY);
    await confirmOrders(db, [shipped], BY);
    await db.query({ text: `UPDATE orders SET state = 'shipped' WHERE id = $1`, values: [shipped] });
    expect(await cancelOrder(db, owned(shipped))).toEqual({ kind: 'invalid_state', state: 'shipped' });
    await failOrders(db, [failed], BY);
    expect(await cancelOrder(db, owned(failed))).toEqual({ kind: 'invalid_state', state: 'payment_failed' });
  });
});

describe('confirmOrder', () => {
  test('confirms an authorized order once, with its job in the same transaction', async () => {
    const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer', road: 'lock' }]);
    expect(await confirmOrder(db, owned(id), noJobs)).toEqual({ kind: 'invalid_state', state: 'reserved' });
    await authorizeOrders(db, [id], BY);
    expect(await confirmOrder(db, owned(id, 'other'), noJobs)).toEqual({ kind: 'not_found' });
    const fails = confirmOrder(db, owned(id), () => Promise.reject(new Error('no queue')));
    await expect(fails).rejects.toThrow('no queue');
    expect(await stateOf(db, id)).toBe('authorized');
    const answers = await Promise.all(Array.from({ length: 5 }, () => confirmOrder(db, owned(id), noJobs)));
    expect(answers.filter((a) => a.kind === 'confirmed')).toHaveLength(1);
    expect(answers.filter((a) => a.kind === 'already')).toHaveLength(4);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 1 } });
  });

  test('says over when the hold is over, also before the sweeper came', async () => {
    const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer', road: 'lock' }]);
    await authorizeOrders(db, [id], BY);
    await pastDeadline(db, [id]);
    expect(await confirmOrder(db, owned(id), noJobs)).toEqual({ kind: 'over' });
    await expireDue(db, { limit: 10 });
    expect(await confirmOrder(db, owned(id), noJobs)).toEqual({ kind: 'over' });
  });
});

describe('findOrder', () => {
  test('tells items, amounts, history in order, and no token', async () => {
    const [id] = await ledgerOrders(db, sale, [
      {
        buyer: 'buyer',
        lines: [
          { sku: 'b', qty: 1 },
          { sku: 'a', qty: 2 },
        ],
      },
    ]);
    await authorizeOrders(db, [id], { cause: 'payment_authorized', actor: 'psp' });
    const order = await findOrder(db, 'default', id);
    expect(order).toMatchObject({
      order_id: id,
      sale: sale.id,
      buyer: 'buyer',
      state: 'authorized',
      amounts: { currency: 'USD', subtotal: 3000, discount: 0, shipping: 0, tax: 0, total: 3000 },
      method_type: 'card',
      items: [
        { sku: 'b', qty: 1, unit_price: 1000 },
        { sku: 'a', qty: 2, unit_price: 1000 },
      ],
      attempts: [],
      history: [
        { from: null, to: 'reserved', cause: 'checkout', actor: 'buyer' },
        { from: 'reserved', to: 'authorized', cause: 'payment_authorized', actor: 'psp' },
      ],
    });
    expect(order?.history[0].at_ms).toBeGreaterThan(Date.now() - 60_000);
    expect(order?.expires_at).toBeInstanceOf(Date);
    expect(JSON.stringify(order)).not.toContain('pm_ok');
    expect(await findOrder(db, 'other', id)).toBeUndefined();
  });

  test('reads expired once the hold is over, swept or not', async () => {
    const [id] = await ledgerOrders(db, sale, [{}]);
    await pastDeadline(db, [id]);
    expect((await findOrder(db, 'default', id))?.state).toBe('expired');
  });
});
