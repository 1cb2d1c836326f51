import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ATTEMPTS_MAX } from '../../domain/limits.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import {
  ledgerOrders,
  ledgerSale,
  pastDeadline,
  setHeartbeat,
  stateOf,
  stockOf,
  type TestSale,
  testLedger,
} from '../../test/support/ledger.ts';
import { cancelOrder } from '../orders/cancel-order.ts';
import { expireDue } from '../orders/expire-due.ts';
import { claimAttempts } from './claim-attempts.ts';
import { attemptsById, attemptsOfOrders } from './find-attempts.ts';
import { claimPspEvents, insertPspEvent, settlePspEvents } from './psp-events.ts';
import { recordAttempts } from './record-attempts.ts';
import { type AttemptNews, settleAttempts } from './settle-attempts.ts';
import { type StartPayment, startPayment } from './start-payment.ts';

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
  await expireDue(db, { limit: 1_000 });
  sale = await ledgerSale(db);
});

const record = (ids: string[]) =>
  withTransaction(db, (tx) => recordAttempts(tx, ids, { psp: 'sandbox', look_again_ms: 1_000 }));
const settle = (...news: Omit<AttemptNews, 'look_again_ms'>[]) =>
  withTransaction(db, (tx) =>
    settleAttempts(
      tx,
      news.map((item) => ({ ...item, look_again_ms: 1_000 })),
    ),
  );
const attemptOf = async (orderId: string) => (await attemptsOfOrders(db, [orderId]))[0];

describe('recordAttempts', () => {
  test('gives an order the attempt that any other ledger would: a restored one pays it once', async () => {
    const ids = await ledgerOrders(db, sale, [{}, {}]);
    const first = await record(ids);
    expect(new Set(first.map((attempt) => attempt.id)).size).toBe(2);
    await db.query({ text: 'DELETE FROM attempts WHERE order_id = ANY ($1)', values: [ids] });
    const again = await record(ids);
    expect(again.map(({ id, order_id }) => [id, order_id])).toEqual(
      first.map(({ id, order_id }) => [id, order_id]),
    );
  });

  test('makes one attempt an order, with what it costs; asked again it finds the same', async () => {
    const ids = await ledgerOrders(db, sale, [{ lines: [{ sku: 'a', qty: 3 }] }, {}]);
    const first = await record(ids);
    expect(
      first.map((a) => [a.order_id, a.no, a.amount, a.currency, a.token, a.state, a.made]).sort(),
    ).toEqual(
      [
        [ids[0], 1, 3000, 'USD', 'pm_ok', 'pending', true],
        [ids[1], 1, 1000, 'USD', 'pm_ok', 'pending', true],
      ].sort(),
    );
    const again = await record(ids);
    expect(again.map((a) => [a.id, a.made]).sort()).toEqual(first.map((a) => [a.id, false]).sort());
  });

  test('makes none for orders that are over, ended, without a payment method, or unknown', async () => {
    const [late, ended, stepwise] = await ledgerOrders(db, sale, [{}, { buyer: 'buyer' }, { road: 'lock' }]);
    await pastDeadline(db, [late]);
    await cancelOrder(db, { tenant: 'default', order_id: ended, buyer: 'buyer' });
    expect(await record([late, ended, stepwise, 'unknown'])).toEqual([]);
  });

  test('two at once make one attempt', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    await Promise.all(Array.from({ length: 5 }, () => record(ids)));
    expect(await attemptsOfOrders(db, ids)).toHaveLength(1);
  });
});

describe('settleAttempts', () => {
  test('money secured confirms an order of the checkout road, in one transaction', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    const [attempt] = await record(ids);
    const settled = await settle({ id: attempt.id, state: 'authorized', psp_ref: 'ref-1' });
    expect(settled).toMatchObject({ authorized: ids, confirmed: ids, payment_failed: [] });
    expect(await stateOf(db, ids[0])).toBe('confirmed');
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 1 } });
    expect(await attemptOf(ids[0])).toMatchObject({
      state: 'authorized',
      psp_ref: 'ref-1',
      reversal_wanted: false,
    });
  });

  test('on the stepwise road it makes the order authorized, and the buyer confirms', async () => {
    const [id] = await ledgerOrders(db, sale, [{ road: 'lock', buyer: 'buyer' }]);
    const started = await startPayment(db, payment(id), noJobs);
    if (started.kind !== 'started') throw new Error(started.kind);
    const settled = await settle({ id: started.attempt.id, state: 'authorized' });
    expect(settled).toMatchObject({ authorized: [id], confirmed: [] });
    expect(await stateOf(db, id)).toBe('authorized');
  });

  test('a final decline fails the order and gives the stock back; another decline leaves it reserved', async () => {
    const ids = await ledgerOrders(db, sale, [{}, {}]);
    const attempts = await record(ids);
    const of = (id: string) => attempts.find((a) => a.order_id === id)!.id;
    const settled = await settle(
      { id: of(ids[0]), state: 'declined', decline_code: 'card_declined', final: true },
      { id: of(ids[1]), state: 'declined', decline_code: 'card_declined' },
    );
    expect(settled).toMatchObject({ authorized: [], confirmed: [], payment_failed: [ids[0]] });
    expect(await stateOf(db, ids[1])).toBe('reserved');
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 1 } });
  });

  test('news that is a step back changes nothing, the same news counts a try', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    const [attempt] = await record(ids);
    await settle({ id: attempt.id, state: 'unknown' });
    await settle({ id: attempt.id, state: 'unknown' });
    expect(await attemptOf(ids[0])).toMatchObject({ state: 'unknown', tries: 1 });
    await settle({ id: attempt.id, state: 'captured' });
    expect(await settle({ id: attempt.id, state: 'authorized' })).toMatchObject({ attempts: [] });
    expect(await settle({ id: attempt.id, state: 'declined', final: true })).toMatchObject({
      payment_failed: [],
    });
    expect(await attemptOf(ids[0])).toMatchObject({ state: 'captured', tries: 0 });
    expect(await stateOf(db, ids[0])).toBe('confirmed');
  });

  test('money that comes after the hold is over changes no order and is wanted back', async () => {
    const ids = await ledgerOrders(db, sale, [{}]);
    const [attempt] = await record(ids);
    await pastDeadline(db, ids);
    // Before the sweeper came: nothing is confirmed, and the sweeper wants the money back.
    expect(await settle({ id: attempt.id, state: 'authorized' })).toMatchObject({
      authorized: [],
      confirmed: [],
    });
    expect(await stateOf(db, ids[0])).toBe('reserved');
    await expireDue(db, { limit: 10 });
    expect(await attemptOf(ids[0])).toMatchObject({ state: 'authorized', reversal_wanted: true });
    // After it.
    const [other] = await ledgerOrders(db, sale, [{}]);
    const [late] = await record([other]);
    await pastDeadline(db, [other]);
    await expireDue(db, { limit: 10 });
    expect(await settle({ id: late.id, state: 'captured' })).toMatchObject({ authorized: [], confirmed: [] });
    expect(await attemptOf(other)).toMatchObject({ state: 'captured', reversal_wanted: true });
    expect(await stateOf(db, other)).toBe('expired');
  });

  test('and cancel, at once, end with goods or with the money wanted back, never both or neither', async () => {
    for (let round = 0; round < 40; round++) {
      const [id] = await ledgerOrders(db, sale, [{ buyer: 'buyer' }]);
      const [attempt] = await record([id]);
      const [, canceled] = await Promise.all([
        settle({ id: attempt.id, state: 'authorized' }),
        cancelOrder(db, { tenant: 'default', order_id: id, buyer: 'buyer' }),
      ]);
      expect(canceled.kind).toBe('canceled');
      expect(await attemptOf(id)).toMatchObject({ state: 'authorized', reversal_wanted: true });
    }
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 0 } });
  });

  test('many at once, in opposite orders, with cancels between, do not deadlock', async () => {
    const ids = await ledgerOrders(
      db,
      sale,
      Array.from({ length: 30 }, () => ({ buyer: 'buyer' })),
    );
    const attempts = await record(ids);
    const news = attempts.map((a) => ({ id: a.id, state: 'authorized' as const }));
    await Promise.all([
      settle(...news),
      settle(...[...news].reverse()),
      ...ids.slice(0, 10).map((order_id) => cancelOrder(db, { tenant: 'default', order_id, buyer: 'buyer' })),
    ]);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 0, sold: 20 } });
  });
});

const noJobs = () => Promise.resolve();
const payment = (order_id: string, buyer = 'buyer'): StartPayment => ({
  tenant: 'default',
  buyer,
  order_id,
  psp: 'sandbox',
  payment_method: { type: 'card', token: 'pm_ok' },
  extension_ms: 120_000,
  look_again_ms: 1_000,
});

describe('startPayment', () => {
  const expires = async (id: string) => {
    const { rows } = await db.query({
      text: `SELECT round(extract(epoch FROM expires_at - now()))::int AS left_s, extended FROM orders WHERE id = $1`,
      values: [id],
    });
    return rows[0] as { left_s: number; extended: boolean };
  };

  test('makes an attempt with its job, and extends the hold once, bounded', async () => {
    const [id] = await ledgerOrders(db, sale, [{ road: 'lock', buyer: 'buyer', left_ms: 5_000 }]);
    const jobs: string[] = [];
    const started = await startPayment(db, payment(id), (_tx, attempt) => {
      jobs.push(attempt.id);
      return Promise.resolve();
    });
    if (started.kind !== 'started') throw new Error(started.kind);
    expect(jobs).toEqual([started.attempt.id]);
    expect(started.attempt).toMatchObject({
      order_id: id,
      no: 1,
      amount: 1000,
      state: 'pending',
      token: 'pm_ok',
    });
    expect(await expires(id)).toEqual({ left_s: 120, extended: true });
    await settle({ id: started.attempt.id, state: 'declined' });
    await db.query({
      text: `UPDATE orders SET expires_at = now() + interval '7 seconds' WHERE id = $1`,
      values: [id],
    });
    expect(await startPayment(db, payment(id), noJobs)).toMatchObject({
      kind: 'started',
      attempt: { no: 2 },
    });
    expect(await expires(id)).toEqual({ left_s: 7, extended: true });
  });

  test('never shortens a hold, nor extends it beyond the length of the sale’s own', async () => {
    const [long] = await ledgerOrders(db, sale, [{ road: 'lock', buyer: 'buyer', left_ms: 500_000 }]);
    await startPayment(db, payment(long), noJobs);
    expect((await expires(long)).left_s).toBe(500);
    const quick = await ledgerSale(db, { hold_ms: 10_000 });
    const [id] = await ledgerOrders(db, quick, [{ road: 'lock', buyer: 'buyer', left_ms: 5_000 }]);
    await startPayment(db, payment(id), noJobs);
    expect((await expires(id)).left_s).toBe(10);
  });

  test('twice at once makes one attempt', async () => {
    const [id] = await ledgerOrders(db, sale, [{ road: 'lock', buyer: 'buyer' }]);
    const answers = await Promise.all(Array.from({ length: 5 }, () => startPayment(db, payment(id), noJobs)));
    expect(answers.map((a) => a.kind).sort()).toEqual([
      'in_progress',
      'in_progress',
      'in_progress',
      'in_progress',
      'started',
    ]);
    expect(await attemptsOfOrders(db, [id])).toHaveLength(1);
  });

  test('refuses: not theirs, over, another state, attempts used up', async () => {
    const [id, late, gone] = await ledgerOrders(db, sale, Array(3).fill({ road: 'lock', buyer: 'buyer' }));
    expect(await startPayment(db, payment(id, 'other'), noJobs)).toEqual({ kind: 'not_found' });
    await pastDeadline(db, [late]);
    expect(await startPayment(db, payment(late), noJobs)).toEqual({ kind: 'over' });
    await cancelOrder(db, { tenant: 'default', order_id: gone, buyer: 'buyer' });
    expect(await startPayment(db, payment(gone), noJobs)).toEqual({
      kind: 'invalid_state',
      state: 'canceled',
    });
    for (let no = 1; no <= ATTEMPTS_MAX; no++) {
      const started = await startPayment(db, payment(id), noJobs);
      if (started.kind !== 'started') throw new Error(started.kind);
      await settle({ id: started.attempt.id, state: 'declined' });
    }
    expect(await startPayment(db, payment(id), noJobs)).toEqual({ kind: 'attempts_used_up' });
  });

  test('commits nothing when its job cannot be queued', async () => {
    const [id] = await ledgerOrders(db, sale, [{ road: 'lock', buyer: 'buyer' }]);
    await expect(startPayment(db, payment(id), () => Promise.reject(new Error('no queue')))).rejects.toThrow(
      'no queue',
    );
    expect(await attemptsOfOrders(db, [id])).toEqual([]);
  });
});

describe('claimAttempts', () => {
  test('gives each attempt that is due to one sweep, and again only after its lease', async () => {
    const ids = await ledgerOrders(
      db,
      sale,
      Array.from({ length: 10 }, () => ({})),
    );
    const attempts = await record(ids);
    const mine = new Set(attempts.map((a) => a.id));
    await db.query({
      text: 'UPDATE attempts SET next_look_at = now() WHERE order_id = ANY ($1)',
      values: [ids],
    });
    const sweeps = await Promise.all(
      [1, 2, 3].map(() => claimAttempts(db, { limit: 1_000, lease_ms: 60_000 })),
    );
    const claimed = sweeps
      .flat()
      .map((a) => a.id)
      .filter((id) => mine.has(id));
    expect(claimed.sort()).toEqual([...mine].sort());
    expect(
      (await claimAttempts(db, { limit: 1_000, lease_ms: 60_000 })).filter((a) => mine.has(a.id)),
    ).toEqual([]);
  });

  test('leaves finished attempts alone, but not captured money that is wanted back', async () => {
    const ids = await ledgerOrders(db, sale, Array(3).fill({ buyer: 'buyer' }));
    const attempts = await record(ids);
    await settle(...attempts.slice(0, 2).map((a) => ({ id: a.id, state: 'captured' as const })));
    await settle({ id: attempts[2].id, state: 'declined' });
    await cancelOrder(db, { tenant: 'default', order_id: attempts[0].order_id, buyer: 'buyer' });
    await db.query({
      text: 'UPDATE attempts SET next_look_at = now() WHERE order_id = ANY ($1)',
      values: [ids],
    });
    const claimed = await claimAttempts(db, { limit: 1_000, lease_ms: 60_000 });
    expect(claimed.filter((a) => ids.includes(a.order_id)).map((a) => a.id)).toEqual([attempts[0].id]);
    expect(await attemptsById(db, [attempts[0].id])).toMatchObject([
      { reversal_wanted: true, order_state: 'canceled' },
    ]);
  });
});

describe('the inbox of webhooks', () => {
  test('takes each event once for ever, and gives it out until it is settled', async () => {
    const event = { provider: 'sandbox', event_id: 'evt_1', body: { type: 'authorized' } };
    const answers = await Promise.all(Array.from({ length: 5 }, () => insertPspEvent(db, event)));
    expect(answers.sort()).toEqual(['known', 'known', 'known', 'known', 'new']);
    expect(await insertPspEvent(db, { ...event, provider: 'other' })).toBe('new');
    const claimed = await claimPspEvents(db, { limit: 10, lease_ms: 60_000 });
    expect(claimed.map((e) => [e.provider, e.event_id, e.body, e.tries])).toEqual([
      ['sandbox', 'evt_1', { type: 'authorized' }, 1],
      ['other', 'evt_1', { type: 'authorized' }, 1],
    ]);
    expect(await claimPspEvents(db, { limit: 10, lease_ms: 60_000 })).toEqual([]);
    await settlePspEvents(db, [claimed[0].id]);
    await db.query('UPDATE psp_events SET next_look_at = now()');
    expect((await claimPspEvents(db, { limit: 10, lease_ms: 60_000 })).map((e) => e.provider)).toEqual([
      'other',
    ]);
    expect(await insertPspEvent(db, event)).toBe('known');
  });
});
