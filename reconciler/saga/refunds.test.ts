/** An operator gives a part back: exactly once, whatever happens to the answers. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type RefundRequested, requestRefund } from '../../ledger/payments/request-refund.ts';
import { enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import { changed, latch } from './testing/fake-parts.ts';
import { sagaParts, soon } from './testing/parts.ts';
import { type TestProvider, testProvider } from './testing/provider.ts';
import { eventually, type SagaRig, sagaRig } from './testing/rig.ts';

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

/** An order of 1000 that is paid. */
async function paid(): Promise<string> {
  const [order] = await rig.orders(['pm_ok']);
  const { handlers } = sagaParts(rig.db, rig.providers);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  await handlers['saga-capture']({ attempt_ids: [id] }, soon());
  return order;
}

const want = (order_id: string, amount: number, key = `key-${amount}`): Promise<RefundRequested> =>
  requestRefund(
    rig.db,
    { tenant: 'default', order_id, key, amount, reason: 'scratched', actor: 'admin:ops' },
    (tx, refund) => enqueueRefunds(tx, [refund.id]),
  );

async function wanted(order: string, amount: number, key?: string): Promise<string> {
  const asked = await want(order, amount, key);
  if (asked.kind !== 'requested') throw new Error(asked.kind);
  return asked.refund.id;
}

async function refunds(order: string) {
  const { rows } = await rig.db.query<{ amount: number; state: string; refusal_code: string | null }>({
    text: 'SELECT amount, state, refusal_code FROM refunds WHERE order_id = $1 ORDER BY created_at',
    values: [order],
  });
  return rows;
}

async function givenBack(order: string): Promise<number> {
  const { rows } = await rig.db.query<{ refunded: number }>({
    text: 'SELECT refunded FROM attempts WHERE order_id = $1',
    values: [order],
  });
  return rows[0].refunded;
}

async function told(order: string) {
  const { rows } = await rig.db.query<{ cause: string; amount: number }>({
    text: `SELECT cause, (detail ->> 'amount')::int AS amount FROM order_events
           WHERE order_id = $1 AND cause LIKE '%refund%' ORDER BY id`,
    values: [order],
  });
  return rows.map(({ cause, amount }) => `${cause} ${amount}`);
}

test('parts, one after another, and no more than there is; the same key is the same refund', async () => {
  await rig.start();
  const order = await paid();
  expect(await want(order, 300, 'one')).toMatchObject({ kind: 'requested', refund: { state: 'wanted' } });
  expect(await want(order, 300, 'one')).toMatchObject({ kind: 'replay' });
  expect(await want(order, 301, 'one')).toEqual({ kind: 'key_reused' });
  await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]));
  expect(await want(order, 300, 'one')).toMatchObject({ kind: 'replay', refund: { state: 'done' } });
  expect(await want(order, 701)).toEqual({ kind: 'too_much', left: 700 });
  expect(await want(order, 700)).toEqual({ kind: 'all_that_is_left', left: 700 });
  await wanted(order, 200);
  await eventually(async () =>
    expect((await refunds(order)).map((one) => one.state)).toEqual(['done', 'done']),
  );
  expect(await money(order)).toMatchObject({ captured: 1000, refunded: 500, unreversed_captures: 1 });
  expect(await givenBack(order)).toBe(500);
  expect(await told(order)).toEqual(['partially_refunded 300', 'partially_refunded 200']);
  expect(await rig.registry.metrics()).toMatch(/stampede_refunds_total\{outcome="done"\} 2/);
});

test('only what was captured can be given back, of one refund at a time', async () => {
  const [order] = await rig.orders(['pm_ok']);
  expect(await want(order, 100)).toEqual({ kind: 'invalid_state', state: 'reserved' });
  expect(await want('nobody', 100)).toEqual({ kind: 'not_found' });
  const other = await paid();
  await wanted(other, 100);
  expect(await want(other, 200)).toEqual({ kind: 'in_progress' });
});

test.each(['error_before', 'error_after', 'no_answer', 'sticky_before', 'sticky_after', 'unavailable'])(
  'given back once, although the provider answers %s',
  async (kind) => {
    await rig.start({ patience: { same_key_ms: 100, quiet_ms: 100 } });
    const order = await paid();
    await rig.sandbox.admin('faults', { faults: [{ on: 'refund', kind, times: 1 }] });
    await wanted(order, 300);
    await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]), 25_000);
    expect(await money(order)).toMatchObject({ refunded: 300 });
    expect(await givenBack(order)).toBe(300);
  },
);

test('given back once, although two workers have it and the provider forgets its keys in between', async () => {
  const order = await paid();
  const id = await wanted(order, 300);
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    changed(rig.providers, (psp) => ({
      refund: async (request) => {
        const outcome = await psp.refund(request);
        await wait;
        return outcome;
      },
    })),
  );
  const stopped = slow.handlers['saga-refund']({ refund_id: id }, soon());
  await eventually(async () => expect(await money(order)).toMatchObject({ refunded: 300 }));
  await rig.sandbox.admin('forget-keys', {});
  await sagaParts(rig.db, rig.providers).handlers['saga-refund']({ refund_id: id }, soon());
  expect(await refunds(order)).toMatchObject([{ state: 'done' }]);
  // The next one begins before the first worker hears of its own.
  await wanted(order, 200);
  open();
  await stopped;
  expect(await givenBack(order)).toBe(300);
  await rig.start();
  await eventually(async () =>
    expect((await refunds(order)).map((one) => one.state)).toEqual(['done', 'done']),
  );
  expect(await money(order)).toMatchObject({ refunded: 500 });
});

test('refused by the provider: no money moved, and another one may be asked for', async () => {
  await rig.start({
    providers: changed(rig.providers, (psp) => ({
      refund: (request) =>
        request.amount === 300 ? Promise.resolve({ kind: 'declined', code: 'too_old' }) : psp.refund(request),
    })),
  });
  const order = await paid();
  await wanted(order, 300);
  await eventually(async () =>
    expect(await refunds(order)).toMatchObject([{ state: 'refused', refusal_code: 'too_old' }]),
  );
  await wanted(order, 200);
  await eventually(async () => expect(await money(order)).toMatchObject({ refunded: 200 }));
});

test('a provider without partial refunds is not asked', async () => {
  await rig.start({
    providers: changed(rig.providers, (psp) => ({
      capabilities: { ...psp.capabilities, partial_refunds: false },
    })),
  });
  const order = await paid();
  await wanted(order, 300);
  await eventually(async () =>
    expect(await refunds(order)).toMatchObject([
      { state: 'refused', refusal_code: 'partial_refund_not_supported' },
    ]),
  );
  expect(await money(order)).toMatchObject({ refunded: 0 });
});

test('a refund that was taken up and is not done yet is looked at, not asked for again', async () => {
  let shown = false;
  const asked: string[] = [];
  const slow = changed(rig.providers, (psp) => ({
    refund: (request) => {
      asked.push(request.idempotency_key);
      return psp.refund(request);
    },
    lookUp: async (request) => {
      const known = await psp.lookUp(request);
      if (shown || known.kind !== 'found') return known;
      return { kind: 'found', payment: { ...known.payment, refunded: 0 } };
    },
  }));
  const order = await paid();
  const id = await wanted(order, 300);
  const { handlers } = sagaParts(rig.db, slow);
  const again = () => handlers['saga-refund']({ refund_id: id }, soon());
  await expect(again()).rejects.toThrow('under_way');
  await expect(again()).rejects.toThrow('under_way');
  shown = true;
  await again();
  expect(asked).toHaveLength(1);
  expect(await refunds(order)).toMatchObject([{ state: 'done' }]);
});

test('somebody gives money back at the provider: counted, and the refund comes on top', async () => {
  await rig.start();
  const order = await paid();
  const { rows } = await rig.db.query<{ id: string; psp_ref: string }>({
    text: 'SELECT id, psp_ref FROM attempts WHERE order_id = $1',
    values: [order],
  });
  await rig.providers.chosen.refund({
    ...{
      reference: rows[0].id,
      psp_ref: rows[0].psp_ref,
      idempotency_key: 'by-hand',
      amount: 50,
      currency: 'USD',
    },
  });
  await wanted(order, 300);
  await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]));
  expect(await money(order)).toMatchObject({ refunded: 350 });
  expect(await givenBack(order)).toBe(350);
  expect(await rig.registry.metrics()).toMatch(
    /stampede_payment_anomalies_total\{what="foreign_refund"\} [1-9]/,
  );
});

test('the whole order is refunded after a part: the rest goes back, not more', async () => {
  await rig.start();
  const order = await paid();
  await wanted(order, 300);
  await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]));
  await rig.db.query({
    text: `UPDATE orders SET state = 'refunded', cause = 'test', actor = 'admin:ops' WHERE id = $1`,
    values: [order],
  });
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'refunded' }]));
  expect(await money(order)).toMatchObject({ captured: 1000, refunded: 1000, unreversed_captures: 0 });
  expect(await givenBack(order)).toBe(1000);
  expect((await told(order)).filter((event) => !event.startsWith('test'))).toEqual([
    'partially_refunded 300',
    'payment_refunded 700',
  ]);
});

test('the whole order is refunded while a part is under way: all goes back, once, and the part is closed', async () => {
  await rig.start({ timings: { poll_ms: 50 } });
  const orders = await Promise.all(Array.from({ length: 8 }, paid));
  await Promise.all(
    orders.map(async (order) => {
      await wanted(order, 300);
      await rig.db.query({
        text: `UPDATE orders SET state = 'refunded', cause = 'test', actor = 'admin:ops' WHERE id = $1`,
        values: [order],
      });
    }),
  );
  for (const order of orders) {
    await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'refunded' }]));
    expect(await money(order)).toMatchObject({ captured: 1000, refunded: 1000 });
    const [refund] = await refunds(order);
    expect(['done', 'refused']).toContain(refund.state);
    const sum = (await told(order)).reduce(
      (total, event) =>
        total + (/^(partially_refunded|payment_refunded) /.test(event) ? Number(event.split(' ')[1]) : 0),
      0,
    );
    expect(sum).toBe(1000);
  }
});

test('a job that is lost is found by the sweep', async () => {
  const order = await paid();
  await requestRefund(
    rig.db,
    { tenant: 'default', order_id: order, key: 'k', amount: 10, actor: 'admin:ops' },
    () => Promise.resolve(),
  );
  await rig.db.query('UPDATE refunds SET next_look_at = now()');
  await rig.start();
  await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]));
});

test('killed with -9 between asking and writing: given back once', async () => {
  const order = await paid();
  await wanted(order, 300);
  await rig.sandbox.admin('faults', { faults: [{ on: 'look_up', kind: 'delay', delay_ms: 250 }] });
  const worker = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
  const settings = {
    database_url: rig.url,
    url: rig.sandbox.url,
    secret: rig.sandbox.secret,
    timeout_ms: 5_000,
  };
  const child = fork(worker, [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] });
  await once(child, 'message');
  await eventually(async () => expect(await money(order)).toMatchObject({ refunded: 300 }));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await refunds(order)).toMatchObject([{ state: 'wanted' }]);
  await rig.sandbox.admin('faults', { faults: [] });
  await rig.sandbox.admin('forget-keys', {});
  await rig.start();
  await eventually(async () => expect(await refunds(order)).toMatchObject([{ state: 'done' }]));
  expect(await money(order)).toMatchObject({ refunded: 300 });
});
