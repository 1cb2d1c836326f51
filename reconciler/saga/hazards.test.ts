/** One test for each way in which a payment could go wrong between the ledger, the queues and the provider. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { enqueueAttempts, enqueueAuthorize } from '../../payments/jobs/enqueue.ts';
import type { Psp } from '../../payments/port.ts';
import type { Providers } from '../../payments/providers.ts';
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { SIGNATURE_HEADER, sign } from '../../payments/signature.ts';
import { withTransaction } from '../../platform/postgres.ts';
import { pastDeadline } from '../../test/support/ledger.ts';
import { settleInbox } from './inbox.ts';
import { sagaParts, soon } from './testing/parts.ts';
import { type TestProvider, testProvider } from './testing/provider.ts';
import { CALL_TIMEOUT_MS, eventually, type SagaRig, sagaRig } from './testing/rig.ts';

let provider: TestProvider;
let rig: SagaRig;
beforeAll(async () => {
  provider = await testProvider();
});
afterAll(() => provider.close());
beforeEach(async () => {
  rig = await sagaRig(provider);
});
afterEach(() => rig.close());

const money = async (order: string) => (await rig.sandbox.testimony()).orders.get(order);
const jobs = async (queue: string, state: string) => {
  const { rows } = await rig.db.query<{ jobs: number }>({
    text: 'SELECT count(*) AS jobs FROM pgboss.job WHERE name = $1 AND state::text = $2',
    values: [queue, state],
  });
  return rows[0].jobs;
};

/** Undefined: not stored. Null: waits. */
async function settledAt(event_id: string): Promise<Date | null | undefined> {
  const { rows } = await rig.db.query<{ settled_at: Date | null }>({
    text: 'SELECT settled_at FROM psp_events WHERE event_id = $1',
    values: [event_id],
  });
  return rows[0]?.settled_at;
}

/** The rig's providers with one method of the sandbox replaced. */
function providersWith(changes: (psp: Psp) => Partial<Psp>): Providers {
  const psp = { ...rig.providers.chosen, ...changes(rig.providers.chosen) };
  return { chosen: psp, byName: () => psp, close: () => {} };
}

function latch(): { wait: Promise<void>; open: () => void } {
  let open = () => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

test('a worker that was stopped with its call in hand, and whose job somebody else did: charged once', async () => {
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    providersWith((psp) => ({
      authorize: async (request) => {
        await wait;
        return psp.authorize(request);
      },
    })),
  );
  const [order] = await rig.orders(['pm_ok']);
  const stopped = slow.handlers['saga-authorize']({ order_ids: [order] }, soon());
  await eventually(async () => expect(await rig.attempts(order)).toHaveLength(1));
  const saga = await rig.start();
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  open();
  await stopped;
  await saga.stop();
  expect(await rig.attempts(order)).toMatchObject([{ state: 'captured', reversal_wanted: false }]);
  expect(await money(order)).toMatchObject({ payments: 1, captures: 1, captured: 1000 });
});

test('a worker that resumes after its time makes no call at all', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, performance.now() - 1);
  expect(await money(order)).toBeUndefined();
  expect(await rig.attempts(order)).toMatchObject([{ state: 'unknown' }]);
  expect(await jobs('saga-retry', 'created')).toBe(1);
});

test('a job that is done twice at the same time authorizes once', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const orders = await rig.orders(Array.from({ length: 50 }, () => 'pm_ok'));
  const job = { order_ids: orders };
  await Promise.all([handlers['saga-authorize'](job, soon()), handlers['saga-authorize'](job, soon())]);
  await rig.start();
  await eventually(async () => {
    for (const order of orders) expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]);
  });
  const told = await rig.sandbox.testimony();
  expect(orders.filter((order) => told.orders.get(order)?.payments !== 1)).toEqual([]);
});

test('the provider has forgotten our keys when a job comes again: looked up, not authorized again', async () => {
  const [order] = await rig.orders(['pm_ok']);
  // The answer is lost, the process gone: nothing is written.
  const crashed = sagaParts(
    rig.db,
    providersWith((psp) => ({
      authorize: async (request) => {
        await psp.authorize(request);
        return new Promise(() => {});
      },
    })),
  );
  void crashed.handlers['saga-authorize']({ order_ids: [order] }, soon());
  await eventually(async () => expect(await money(order)).toMatchObject({ payments: 1 }));
  await rig.sandbox.admin('forget-keys', {});
  await rig.start();
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  expect(await money(order)).toMatchObject({ payments: 1, captures: 1 });
});

test('a capture that comes again after long is looked up first', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  await handlers['saga-capture']({ attempt_ids: [id] }, soon());
  // As if the write had been lost: the ledger, a day later, does not know of the capture.
  await rig.db.query('ALTER TABLE attempts DISABLE TRIGGER attempts_changed');
  await rig.db.query(`UPDATE attempts SET state = 'authorized', updated_at = now() - interval '25 h'`);
  await rig.db.query('ALTER TABLE attempts ENABLE TRIGGER attempts_changed');
  const calls: string[] = [];
  const watched = sagaParts(
    rig.db,
    providersWith((psp) => ({
      capture: (request) => {
        calls.push('capture');
        return psp.capture(request);
      },
    })),
  );
  await watched.handlers['saga-capture']({ attempt_ids: [id] }, soon());
  expect(calls).toEqual([]);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]);
});

test('the provider is down: nothing is lost, and all is paid when it is back', async () => {
  await rig.sandbox.kill();
  await rig.start();
  const orders = await rig.orders(['pm_ok', 'pm_ok', 'pm_declined']);
  await rig.enqueue(orders);
  await eventually(async () => {
    for (const order of orders) expect(await rig.attempts(order)).toMatchObject([{ state: 'unknown' }]);
  });
  expect(await Promise.all(orders.map(rig.state))).toEqual(['reserved', 'reserved', 'reserved']);
  await rig.sandbox.start();
  await eventually(async () => {
    expect(await Promise.all(orders.map(rig.state))).toEqual(['confirmed', 'confirmed', 'payment_failed']);
  });
});

test('the provider is down for longer than a hold: the order expires, and nothing is charged after', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
  await rig.start();
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'unknown' }]));
  await rig.expire(order);
  await rig.sandbox.admin('faults', { faults: [] });
  await eventually(async () => {
    expect(await rig.attempts(order)).toMatchObject([{ state: 'voided', reversal_wanted: true }]);
  });
  expect(await rig.state(order)).toBe('expired');
  expect(await money(order)).toBeUndefined();
});

test('an outcome looked up after the deadline is not asked for again, even if nobody has swept the order', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'error_before', times: 1 }] });
  const { handlers } = sagaParts(rig.db, rig.providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  expect(await rig.attempts(order)).toMatchObject([{ state: 'unknown' }]);
  await pastDeadline(rig.db, [order]);
  const [{ id }] = await rig.attempts(order);
  await handlers['saga-retry']({ attempt_ids: [id] }, soon());
  expect(await money(order)).toBeUndefined();
});

test('a reversal that the provider does not answer is tried again by one job, not by ever more', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  await rig.sandbox.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
  await rig.db.query({
    text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
    values: [order],
  });
  const [{ id }] = await rig.attempts(order);
  for (let i = 0; i < 3; i++) await handlers['saga-reverse']({ attempt_ids: [id] }, soon());
  expect(await jobs('saga-reverse', 'created')).toBe(0);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized', tries: 3 }]);
  await rig.sandbox.admin('faults', { faults: [] });
  await rig.start();
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]));
});

test('an order that ends while its payment is looked up is reversed at once, not after the next pause', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'no_answer', times: 1 }] });
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    providersWith(() => ({
      lookUp: async () => {
        await wait;
        return { kind: 'unknown', reason: 'test' };
      },
    })),
  );
  const [order] = await rig.orders(['pm_ok']);
  await slow.handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  const looking = slow.handlers['saga-look']({ attempt_ids: [id] }, soon());
  await rig.expire(order);
  open();
  await looking;
  expect(await jobs('saga-reverse', 'created')).toBe(1);
});

test('an authorization still on its way when its order is reversed comes to nothing', async () => {
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    providersWith((psp) => ({
      authorize: async (request) => {
        await wait;
        return psp.authorize(request);
      },
    })),
  );
  const [order] = await rig.orders(['pm_ok']);
  const under_way = slow.handlers['saga-authorize']({ order_ids: [order] }, soon());
  await eventually(async () => expect(await rig.attempts(order)).toHaveLength(1));
  await rig.expire(order);
  await rig.start();
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]));
  open();
  await under_way;
  const told = await money(order);
  expect(told?.open).toBe(0);
  expect(told?.captured).toBe(0);
});

test('a cancellation while the capture is under way: the money goes back in full', async () => {
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    providersWith((psp) => ({
      capture: async (request) => {
        const outcome = await psp.capture(request);
        await wait;
        return outcome;
      },
    })),
  );
  const [order] = await rig.orders(['pm_ok']);
  await slow.handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  const capture = slow.handlers['saga-capture']({ attempt_ids: [id] }, soon());
  await eventually(async () => expect(await money(order)).toMatchObject({ captured: 1000 }));
  await rig.db.query({
    text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
    values: [order],
  });
  open();
  await capture;
  await rig.start();
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'refunded' }]));
  expect(await money(order)).toMatchObject({ captured: 1000, refunded: 1000, unreversed_captures: 0 });
});

test('a decline that is written twice gives the stock back once', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const orders = await rig.orders(['pm_declined', 'pm_declined']);
  const job = { order_ids: orders };
  await Promise.all([1, 2, 3].map(() => handlers['saga-authorize'](job, soon())));
  expect(await rig.stock()).toEqual({ reserved: 0, sold: 0, to_available: 2, from_held: 2 });
});

test('another amount than asked for is not settled: counted, not confirmed, and reversed with its order', async () => {
  const psp = providersWith((real) => ({
    authorize: (request) => real.authorize({ ...request, amount: request.amount - 1 }),
  }));
  await rig.start({ providers: psp });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => {
    expect(await rig.registry.metrics()).toMatch(
      /stampede_payment_anomalies_total\{what="wrong_amount"\} [1-9]/,
    );
  });
  expect(await rig.state(order)).toBe('reserved');
  await rig.expire(order);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]));
  expect(await money(order)).toMatchObject({ captured: 0, open: 0 });
});

test('money on an attempt that the ledger had closed is given back', async () => {
  const { handlers } = sagaParts(rig.db, rig.providers);
  await rig.sandbox.admin('settings', { events: 'all' });
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  await rig.db.query('ALTER TABLE attempts DISABLE TRIGGER attempts_changed');
  await rig.db.query(`UPDATE attempts SET state = 'declined', next_look_at = now() + interval '1 h'`);
  await rig.db.query('ALTER TABLE attempts ENABLE TRIGGER attempts_changed');
  await rig.start();
  await eventually(async () => expect(await money(order)).toMatchObject({ open: 0, captured: 0 }));
});

test('a webhook of an attempt that the ledger does not know waits until it does', async () => {
  const { settler } = sagaParts(rig.db, rig.providers);
  const id = '01234567-89ab-4cde-8f01-23456789abcd';
  const [order] = await rig.orders(['pm_ok']);
  const payment = {
    id: 'pay_1',
    reference: id,
    status: 'authorized',
    amount: 1000,
    captured: 0,
    refunded: 0,
    currency: 'USD',
  };
  const raw = Buffer.from(JSON.stringify({ id: 'evt_1', type: 'payment.authorized', payment }));
  const now_ms = Date.now();
  const headers = { [SIGNATURE_HEADER]: sign(rig.sandbox.secret, raw, now_ms) };
  const deliver = (body = raw) =>
    receiveWebhook(rig.db, rig.providers, { provider: 'sandbox', headers, raw: body, now_ms });
  expect(await deliver(Buffer.concat([raw, Buffer.from(' ')]))).toMatchObject({ kind: 'refused' });
  expect(await settledAt('evt_1')).toBeUndefined();
  expect(await deliver()).toEqual({ kind: 'stored' });
  expect(await deliver()).toEqual({ kind: 'known' });
  await settleInbox(rig.db, rig.providers, settler);
  expect(await settledAt('evt_1')).toBeNull();
  await rig.db.query({
    text: `INSERT INTO attempts (id, order_id, no, psp, method_type, token, amount, currency)
           SELECT $2, id, 1, 'sandbox', 'card', 'pm_ok', total, currency FROM orders WHERE id = $1`,
    values: [order, id],
  });
  await rig.db.query({ text: 'UPDATE psp_events SET next_look_at = now()', values: [] });
  await settleInbox(rig.db, rig.providers, settler);
  expect(await settledAt('evt_1')).toBeInstanceOf(Date);
  expect(await rig.state(order)).toBe('confirmed');
});

test('an event about nothing of ours is put away', async () => {
  const { settler } = sagaParts(rig.db, rig.providers);
  const raw = Buffer.from(JSON.stringify({ id: 'evt_2', type: 'account.updated' }));
  const headers = { [SIGNATURE_HEADER]: sign(rig.sandbox.secret, raw, Date.now()) };
  await receiveWebhook(rig.db, rig.providers, { provider: 'sandbox', headers, raw, now_ms: Date.now() });
  await settleInbox(rig.db, rig.providers, settler);
  expect(await settledAt('evt_2')).toBeInstanceOf(Date);
});

test('a job that used up its tries is a dead letter until the sweep has brought it to its end', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
  await rig.start({ timings: { count_ms: 100 } });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await jobs('saga-retry', 'created')).toBe(1));
  await rig.db.query(
    `UPDATE pgboss.job SET retry_count = retry_limit, start_after = now() WHERE name = 'saga-retry'` as never,
  );
  await eventually(async () => {
    expect(await jobs('saga-dead', 'created')).toBe(1);
    expect(await rig.registry.metrics()).toMatch(/stampede_dead_letters 1/);
  });
  await rig.sandbox.admin('faults', { faults: [] });
  await rig.db.query('UPDATE attempts SET next_look_at = now()' as never);
  await eventually(async () => {
    expect(await rig.state(order)).toBe('confirmed');
    expect(await jobs('saga-dead', 'created')).toBe(0);
    expect(await rig.registry.metrics()).toMatch(/stampede_dead_letters 0/);
  });
});

test('jobs exist only if their transaction does, and an unknown queue is an error', async () => {
  const [order] = await rig.orders(['pm_ok']);
  const undone = withTransaction(rig.db, async (tx) => {
    await enqueueAuthorize(tx, [order]);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  expect(await jobs('saga-authorize', 'created')).toBe(0);
  const unknown = withTransaction(rig.db, (tx) => enqueueAttempts(tx, 'saga-lost' as 'saga-look', ['x']));
  await expect(unknown).rejects.toThrow('is it installed?');
});

test('a worker is woken by what is committed, and need not poll for it', async () => {
  await rig.start({ timings: { poll_ms: 60_000, sweep_ms: 60_000 } });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(
    async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]),
    5_000,
  );
});

test('jobs of a worker that is alive are not given to one that begins', async () => {
  const { wait, open } = latch();
  await rig.start({
    providers: providersWith((psp) => ({
      authorize: async (request) => {
        await wait;
        return psp.authorize(request);
      },
    })),
  });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toHaveLength(1));
  await rig.start();
  expect(await jobs('saga-authorize', 'active')).toBe(1);
  open();
  await eventually(async () => expect(await rig.state(order)).toBe('confirmed'));
});

test('a worker that ends gives its jobs back at once', async () => {
  const { wait, open } = latch();
  const first = await rig.start({
    providers: providersWith(() => ({
      authorize: async () => {
        await wait;
        return { kind: 'unknown', reason: 'test' };
      },
    })),
  });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toHaveLength(1));
  await first.stop();
  expect(await jobs('saga-authorize', 'retry')).toBe(1);
  open();
  await rig.start();
  await eventually(async () => expect(await rig.state(order)).toBe('confirmed'));
});

test('killed with -9 again and again under faults: everyone ends with goods or money, never both or twice', async () => {
  const worker = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
  const settings = {
    database_url: rig.url,
    url: rig.sandbox.url,
    secret: rig.sandbox.secret,
    timeout_ms: CALL_TIMEOUT_MS,
  };
  const start = async () => {
    const child = fork(worker, [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] });
    await once(child, 'message');
    return child;
  };
  const kinds = ['error_before', 'error_after', 'no_answer'];
  await rig.sandbox.admin('faults', {
    faults: ['authorize', 'capture'].flatMap((on) => kinds.map((kind) => ({ on, kind, rate: 0.03 }))),
    seed: 7,
  });
  const orders = await rig.orders(
    Array.from({ length: 600 }, (_, i) => (i % 10 === 0 ? 'pm_declined' : 'pm_ok')),
  );
  for (let i = 0; i < orders.length; i += 100) await rig.enqueue(orders.slice(i, i + 100));
  const reached = async () => {
    const told = await rig.sandbox.testimony();
    return orders.filter((order) => told.orders.has(order)).length;
  };
  for (let run = 0; run < 4; run++) {
    const child = await start();
    const before = await reached();
    await eventually(async () => expect(await reached()).toBeGreaterThan(Math.min(before + 60, 599)));
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const last = await start();
  await eventually(async () => {
    const { rows } = await rig.db.query({
      text: `SELECT o.state, a.state AS attempt, count(*) AS orders FROM orders o
             LEFT JOIN attempts a ON a.order_id = o.id GROUP BY 1, 2 ORDER BY 1, 2`,
      values: [],
    });
    expect(rows).toEqual([
      { state: 'confirmed', attempt: 'captured', orders: 540 },
      { state: 'payment_failed', attempt: 'declined', orders: 60 },
    ]);
  }, 60_000);
  last.kill('SIGKILL');
  const told = await rig.sandbox.testimony();
  const paid = orders.map((order) => told.orders.get(order));
  expect(paid.filter((order) => order?.captured === 1000 && order.captures === 1)).toHaveLength(540);
  expect(paid.filter((order) => order?.open || order?.refunded)).toEqual([]);
  expect(await rig.stock()).toEqual({ reserved: 0, sold: 540, to_available: 60, from_held: 600 });
}, 120_000);
