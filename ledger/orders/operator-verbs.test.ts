/** What operators do with orders: refund, return, ship, deliver, list. Once, in any order, and never with others' orders. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import {
  hash16,
  ledgerOrders,
  ledgerSale,
  setHeartbeat,
  stateOf,
  stockOf,
  type TestSale,
  testLedger,
} from '../../test/support/ledger.ts';
import { attemptsOfOrders } from '../payments/find-attempts.ts';
import { recordAttempts } from '../payments/record-attempts.ts';
import { recordShipment } from '../payments/record-shipment.ts';
import { settleAttempts } from '../payments/settle-attempts.ts';
import { settleRefund } from '../payments/settle-refund.ts';
import { cancelOrder } from './cancel-order.ts';
import { deliverOrder } from './deliver-order.ts';
import { findOrder } from './find-order.ts';
import { listOrders, type OrderPlace } from './list-orders.ts';
import { operatorDetails } from './operator-view.ts';
import { type RefundJobs, type RefundOrder, refundOrder } from './refund-order.ts';
import { type ReturnOrder, returnOrder } from './return-order.ts';

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
  sale = await ledgerSale(db);
});

const ACTOR = 'operator:ada';
const noJobs = () => Promise.resolve();
const JOBS: RefundJobs = { reverse: noJobs, refund: noJobs };
const attemptOf = async (order_id: string) => (await attemptsOfOrders(db, [order_id]))[0];

/** A new order of two units, 2000 minor units, whose attempt has come so far. */
async function order(state: 'authorized' | 'captured' = 'captured', capture = 'at_once'): Promise<string> {
  await db.query({
    text: 'UPDATE sales SET capture = $2 WHERE sale_no = $1',
    values: [sale.sale_no, capture],
  });
  const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer', lines: [{ sku: 'a', qty: 2 }] }]);
  await withTransaction(db, (tx) => recordAttempts(tx, [id], { psp: 'sandbox', look_again_ms: 1_000 }));
  for (const news of ['authorized', state] as const) await settle(id, news);
  expect(await stateOf(db, id)).toBe('confirmed');
  return id;
}

const settle = async (id: string, state: 'authorized' | 'captured' | 'refunded' | 'voided') => {
  const attempt = await attemptOf(id);
  if (attempt.state === state) return;
  await withTransaction(db, (tx) => settleAttempts(tx, [{ id: attempt.id, state, look_again_ms: 1_000 }]));
};

const ship = (order_id: string, parcel = { carrier: 'dhl', tracking_number: '1' }) =>
  recordShipment(db, { tenant: 'default', order_id, actor: ACTOR, ...parcel }, noJobs);
const deliver = (order_id: string) => deliverOrder(db, { tenant: 'default', order_id, actor: ACTOR });
const cancel = (order_id: string) => cancelOrder(db, { tenant: 'default', order_id, buyer: 'buyer' });

type Change<T> = Partial<T> & { body?: string };
function asked<T extends RefundOrder | ReturnOrder>(order_id: string, { body, ...change }: Change<T>) {
  const { amount, reason } = change as Partial<RefundOrder>;
  return {
    ...{ tenant: 'default', order_id, key: `key-${randomUUID()}`, actor: ACTOR },
    fingerprint: hash16(`${order_id} ${body ?? JSON.stringify([amount, reason, change.restock])}`),
    ...{ reason: null, restock: false },
    ...change,
  };
}
const refund = (order_id: string, change: Change<RefundOrder> = {}, jobs = JOBS) =>
  refundOrder(db, asked(order_id, change), jobs);
const giveBack = (order_id: string, change: Change<ReturnOrder> = {}) =>
  returnOrder(db, asked<ReturnOrder>(order_id, { restock: true, ...change }), noJobs);

const movedBack = async (orderId: string) => {
  const { rows } = await db.query({
    text: `SELECT coalesce(sum(to_available), 0)::int AS units, coalesce(sum(buyer_units), 0)::int AS buyer_units,
      coalesce(sum(from_held), 0)::int AS from_held FROM movements WHERE order_id = $1`,
    values: [orderId],
  });
  return rows[0];
};
// Confirmation took them out of what is held; what was sold is not held.
const NOTHING = { units: 0, buyer_units: 0, from_held: 2 };
const BOTH = { units: 2, buyer_units: 2, from_held: 2 };
const sold = async () => (await stockOf(db, sale.sale_no)).a.sold;

describe('a refund of everything', () => {
  test('ends the order, wants its money back, and leaves the units sold', async () => {
    const id = await order();
    const reversed: string[] = [];
    const jobs = {
      ...JOBS,
      reverse: async (_: unknown, ids: readonly string[]) => void reversed.push(...ids),
    };
    expect(await refund(id, { reason: 'broken' }, jobs)).toEqual({
      kind: 'done',
      answer: {
        ...{ order_id: id, state: 'refunded', refund_id: null, amount: 2000, currency: 'USD' },
        ...{ reason: 'broken', restock: false },
      },
    });
    const attempt = await attemptOf(id);
    expect([attempt.reversal_wanted, reversed]).toEqual([true, [attempt.id]]);
    expect([await movedBack(id), await sold()]).toEqual([NOTHING, 2]);
    expect((await findOrder(db, 'default', id))?.history.at(-1)).toMatchObject({
      ...{ from: 'confirmed', to: 'refunded', cause: 'refunded_by_operator', actor: ACTOR },
    });
    expect(await operatorDetails(db, id)).toMatchObject({ refund_reason: 'broken', restock: false });
  });

  test.each(['confirmed', 'shipped', 'delivered'])(
    'with restock, of an order that is %s: units and the buyer’s limit go back once',
    async (state) => {
      const id = await order();
      if (state !== 'confirmed') await ship(id);
      if (state === 'delivered') await deliver(id);
      expect(await stateOf(db, id)).toBe(state);
      const answers = await Promise.all(Array.from({ length: 6 }, () => refund(id, { restock: true })));
      expect(answers.map(({ kind }) => kind).sort()).toEqual(['done', ...Array(5).fill('invalid_state')]);
      expect([await movedBack(id), await sold()]).toEqual([BOTH, 0]);
    },
  );

  test('of money that is only held: the payment is given up', async () => {
    const id = await order('authorized', 'on_shipment');
    expect(await refund(id, { amount: 2000 })).toMatchObject({ kind: 'done', answer: { amount: 2000 } });
    expect((await attemptOf(id)).reversal_wanted).toBe(true);
  });

  test('of an order whose provider has given everything back by itself: nothing is left, the order ends', async () => {
    const id = await order();
    await settle(id, 'refunded');
    expect(await refund(id, { amount: 1 })).toMatchObject({ kind: 'too_much', left: 0 });
    expect(await refund(id)).toMatchObject({ kind: 'done', answer: { amount: 0 } });
    expect(await stateOf(db, id)).toBe('refunded');
  });

  test('a queue that fails leaves everything as it was, and the key free', async () => {
    const id = await order();
    const key = `key-${randomUUID()}`;
    const broken = { ...JOBS, reverse: () => Promise.reject(new Error('no queue')) };
    await expect(refund(id, { key }, broken)).rejects.toThrow('no queue');
    expect([await stateOf(db, id), (await attemptOf(id)).reversal_wanted]).toEqual(['confirmed', false]);
    expect((await refund(id, { key })).kind).toBe('done');
  });
});

describe('a refund of a part', () => {
  test('is a row for the saga; the order goes on', async () => {
    const id = await order();
    const wanted: string[] = [];
    const jobs = { ...JOBS, refund: async (_: unknown, row: { id: string }) => void wanted.push(row.id) };
    const done = await refund(id, { amount: 500, reason: 'scratched' }, jobs);
    expect(done).toMatchObject({ kind: 'done', answer: { state: 'confirmed', amount: 500, restock: false } });
    const { refunds } = await operatorDetails(db, id);
    expect(refunds).toMatchObject([
      { id: wanted[0], amount: 500, reason: 'scratched', state: 'wanted', actor: ACTOR },
    ]);
    expect([await stateOf(db, id), await movedBack(id)]).toEqual(['confirmed', NOTHING]);
  });

  test('one after another: while one is open neither another nor a refund of everything nor a return', async () => {
    const id = await order();
    await ship(id);
    await refund(id, { amount: 500 });
    for (const late of [await refund(id, { amount: 1 }), await refund(id), await giveBack(id)]) {
      expect(late).toEqual({ kind: 'in_progress', state: 'shipped' });
    }
    const { refunds } = await operatorDetails(db, id);
    await settleRefund(db, refunds[0], { state: 'done', key_no: 1, given_back: 500, look_again_ms: 1_000 });
    expect(await refund(id, { amount: 1501 })).toEqual({ kind: 'too_much', left: 1500, currency: 'USD' });
    expect(await refund(id, { amount: 1500 })).toMatchObject({
      ...{ kind: 'done', answer: { refund_id: null, amount: 1500, state: 'refunded' } },
    });
  });

  test('of two at once one is asked for', async () => {
    const id = await order();
    const answers = await Promise.all([300, 400, 500].map((amount) => refund(id, { amount })));
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['done', 'in_progress', 'in_progress']);
  });

  test('is refused where it can not be: held money, more than there is, with restock', async () => {
    const held = await order('authorized', 'on_shipment');
    expect(await refund(held, { amount: 500 })).toEqual({ kind: 'not_captured', state: 'confirmed' });
    expect(await refund(held, { amount: 2001 })).toEqual({ kind: 'too_much', left: 2000, currency: 'USD' });
    expect(await refund(await order(), { amount: 500, restock: true })).toEqual({
      kind: 'restock_of_a_part',
    });
  });
});

describe('by key', () => {
  test('again is the first answer, whatever has happened since; another request under it is refused', async () => {
    const id = await order();
    const key = `key-${randomUUID()}`;
    const first = await refund(id, { key, amount: 500 });
    expect(await refund(id, { key, amount: 500 })).toEqual({ ...first, kind: 'replay' });
    expect(await refund(id, { key, amount: 501 })).toEqual({ kind: 'key_reused' });
    expect(await refund(id, { key })).toEqual({ kind: 'key_reused' });
    expect(await refund(await order(), { key, amount: 500 })).toEqual({ kind: 'key_reused' });
    expect((await operatorDetails(db, id)).refunds).toHaveLength(1);
    const whole = await order();
    const last = `key-${randomUUID()}`;
    const done = await refund(whole, { key: last });
    expect(await refund(whole, { key: last })).toEqual({ ...done, kind: 'replay' });
    expect(await refund(whole, { key: last, amount: 5 })).toEqual({ kind: 'key_reused' });
    expect(await giveBack(whole, { key: last })).toEqual({ kind: 'key_reused' });
  });

  test('many at once under one key are one', async () => {
    const id = await order();
    const key = `key-${randomUUID()}`;
    const answers = await Promise.all(Array.from({ length: 8 }, () => refund(id, { key, amount: 500 })));
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['done', ...Array(7).fill('replay')]);
    expect((await operatorDetails(db, id)).refunds).toHaveLength(1);
  });

  test('one key for two orders in the same moment: one of them has it', async () => {
    const ids = [await order(), await order()];
    const key = `key-${randomUUID()}`;
    const answers = await Promise.all(ids.map((id) => refund(id, { key })));
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['done', 'key_reused']);
    const states = await Promise.all(ids.map((id) => stateOf(db, id)));
    expect(states.sort()).toEqual(['confirmed', 'refunded']);
  });

  test('a refusal leaves the key free', async () => {
    const id = await order();
    const key = `key-${randomUUID()}`;
    expect((await refund(id, { key, amount: 9_999 })).kind).toBe('too_much');
    expect((await giveBack(id, { key })).kind).toBe('invalid_state');
    expect((await refund(id, { key, amount: 5 })).kind).toBe('done');
  });
});

describe('a return', () => {
  test.each([
    [true, BOTH, 0],
    [false, NOTHING, 2],
  ])('of what was sent, restock %s; money goes back, once', async (restock, units, left) => {
    const id = await order();
    expect(await giveBack(id)).toEqual({ kind: 'invalid_state', state: 'confirmed' });
    await ship(id);
    await deliver(id);
    const key = `key-${randomUUID()}`;
    const first = await giveBack(id, { key, restock, reason: 'did not fit' });
    expect(first).toMatchObject({ kind: 'done', answer: { state: 'refunded', amount: 2000, restock } });
    expect(await giveBack(id, { key, restock, reason: 'did not fit' })).toEqual({ ...first, kind: 'replay' });
    expect(await giveBack(id)).toEqual({ kind: 'invalid_state', state: 'refunded' });
    expect([await movedBack(id), await sold()]).toEqual([units, left]);
    expect((await findOrder(db, 'default', id))?.history.map(({ cause }) => cause)).toEqual([
      ...['checkout', 'payment_authorized', 'checkout', 'payment_captured'],
      ...['shipment_recorded', 'shipped', 'delivered', 'returned'],
    ]);
  });
});

describe('ship and deliver', () => {
  test('deliver what is shipped, once', async () => {
    const id = await order();
    expect(await deliver(id)).toEqual({ kind: 'invalid_state', state: 'confirmed' });
    await ship(id);
    const answers = await Promise.all(Array.from({ length: 5 }, () => deliver(id)));
    expect(answers.map(({ kind }) => kind).sort()).toEqual([...Array(4).fill('already'), 'delivered']);
    expect((await findOrder(db, 'default', id))?.history.at(-1)).toMatchObject({
      actor: ACTOR,
      to: 'delivered',
    });
    expect(await ship(id)).toEqual({ kind: 'already', state: 'delivered' });
    expect(await ship(id, { carrier: 'dhl', tracking_number: '2' })).toEqual({ kind: 'conflict' });
  });

  test('a buyer cannot cancel what is on its way, also while its money is being captured', async () => {
    const id = await order('authorized', 'on_shipment');
    expect(await ship(id)).toEqual({ kind: 'recorded' });
    expect(await cancel(id)).toEqual({ kind: 'invalid_state', state: 'confirmed' });
    await settle(id, 'captured');
    expect(await stateOf(db, id)).toBe('shipped');
  });

  test('shipped and canceled at once: one of them', async () => {
    for (let i = 0; i < 10; i++) {
      const id = await order('authorized', 'on_shipment');
      const [shipped, canceled] = await Promise.all(
        i % 2 ? [ship(id), cancel(id)] : [cancel(id), ship(id)],
      ).then((both) => (i % 2 ? both : both.reverse()));
      expect([
        ['recorded', 'invalid_state'],
        ['invalid_state', 'canceled'],
      ]).toContainEqual([shipped.kind, canceled.kind]);
    }
  });
});

test('orders of another tenant are not found by any verb', async () => {
  const id = await order();
  const tenant = 'other';
  const none = { kind: 'not_found' };
  expect(await refund(id, { tenant })).toEqual(none);
  expect(await refund(id, { tenant, amount: 5 })).toEqual(none);
  expect(await giveBack(id, { tenant })).toEqual(none);
  expect(await deliverOrder(db, { tenant, order_id: id, actor: ACTOR })).toEqual(none);
  expect(await recordShipment(db, { tenant, order_id: id, actor: ACTOR }, noJobs)).toEqual(none);
  expect((await listOrders(db, { tenant, limit: 10 })).orders).toEqual([]);
  expect(await stateOf(db, id)).toBe('confirmed');
});

describe('listOrders', () => {
  /** All pages, each at most `limit` long. */
  async function all(request: Omit<Parameters<typeof listOrders>[1], 'tenant'>): Promise<string[]> {
    const found: string[] = [];
    let after: OrderPlace | undefined;
    do {
      const page = await listOrders(db, { tenant: 'default', ...request, after });
      expect(page.orders.length).toBeLessThanOrEqual(request.limit);
      found.push(...page.orders.map(({ order_id }) => order_id));
      after = page.next ?? undefined;
    } while (after);
    return found;
  }

  test('tells each once, newest sale first, however long the pages are', async () => {
    const older = await ledgerOrders(db, sale, Array(7).fill({ lines: [{ sku: 'b', qty: 1 }] }));
    const newer = await ledgerSale(db);
    const ids = await ledgerOrders(db, newer, Array(5).fill({ lines: [{ sku: 'b', qty: 1 }] }));
    const whole = await all({ limit: 100 });
    expect(whole.slice(0, 5).sort()).toEqual([...ids].sort());
    expect(whole.slice(5, 12).sort()).toEqual([...older].sort());
    for (const limit of [1, 3, 12]) expect(await all({ limit })).toEqual(whole);
    expect(await all({ sale: sale.id, limit: 2 })).toEqual(whole.slice(5, 12));
    expect(await all({ sale: 'unknown', limit: 2 })).toEqual([]);
  });

  test('by state, looking at a bounded number a page; a hold that is over reads expired', async () => {
    const [one, two, three] = await ledgerOrders(db, sale, Array(9).fill({ lines: [{ sku: 'b', qty: 1 }] }));
    await cancelAs(one, two);
    await db.query({
      text: `UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1`,
      values: [three],
    });
    for (const seen_max of [1, 2, 100]) {
      const within = { sale: sale.id, limit: 2, seen_max };
      expect((await all({ ...within, state: 'canceled' })).sort()).toEqual([one, two].sort());
      expect(await all({ ...within, state: 'expired' })).toEqual([three]);
      expect(await all({ ...within, state: 'delivered' })).toEqual([]);
    }
  });

  async function cancelAs(...ids: string[]): Promise<void> {
    await db.query({
      text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'test' WHERE id = ANY ($1)`,
      values: [ids],
    });
  }
});
