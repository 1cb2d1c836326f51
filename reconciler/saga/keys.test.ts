/** What is asked for twice: under which key, after which look, and what came of it at the provider. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Psp } from '../../payments/port.ts';
import { keyOf } from './steps.ts';
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

const PATIENCE = { same_key_ms: 30_000, quiet_ms: 90_000 };
const money = async (order: string) => (await rig.sandbox.testimony()).orders.get(order);

/** The rig's provider, writing down what it is asked. */
function watched() {
  const asked: string[] = [];
  const watch = (psp: Psp, step: 'authorize' | 'capture' | 'void' | 'refund') => (request: never) => {
    asked.push((request as { idempotency_key: string }).idempotency_key.replace(/^[0-9a-f-]{36}:/, ''));
    return (psp[step] as (request: never) => ReturnType<Psp['void']>)(request);
  };
  const providers = changed(rig.providers, (psp) => ({
    authorize: watch(psp, 'authorize') as Psp['authorize'],
    capture: watch(psp, 'capture') as Psp['capture'],
    void: watch(psp, 'void'),
    refund: watch(psp, 'refund') as Psp['refund'],
    lookUp: (request) => {
      asked.push('look');
      return psp.lookUp(request);
    },
  }));
  return { asked, providers };
}

/** Lets so much time have passed since the attempt's row said what it says. */
async function pass(ms: number): Promise<void> {
  await rig.db.query({
    text: `UPDATE attempts SET updated_at = updated_at - $1 * interval '1 millisecond',
             erred_at = erred_at - $1 * interval '1 millisecond', absent_at = absent_at - $1 * interval '1 millisecond'`,
    values: [ms],
  });
}

describe('the key of a step', () => {
  test('stays while errors are new, rests, and is the next one afterwards', () => {
    const key = (erred_ms: number | null) => keyOf({ key_no: 3, erred_ms }, PATIENCE);
    expect([null, 0, 29_999].map(key)).toEqual([3, 3, 3]);
    expect([30_000, 119_999].map(key)).toEqual(['quiet', 'quiet']);
    expect([120_000, 1e9].map(key)).toEqual([4, 4]);
  });
});

test('a 500 that a provider repeats for ever: the same key, then none, then another one, and one charge', async () => {
  const { asked, providers } = watched();
  const { handlers } = sagaParts(rig.db, providers);
  const [order] = await rig.orders(['pm_error_sticky']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  const again = () =>
    handlers['saga-retry']({ attempt_ids: [id] }, soon()).catch((error: Error) => error.message);
  await again();
  await pass(31_000);
  expect(await again()).toBe('key_rests');
  await pass(60_000);
  expect(await again()).toBe('key_rests');
  expect(asked).toEqual(['authorize', 'look', 'authorize', 'look', 'look']);
  // The next key works: this token errs once for each key, the fault is gone.
  await rig.db.query({
    text: `UPDATE attempts SET token = 'pm_ok' WHERE id = $1`,
    values: [id],
  });
  await pass(60_000);
  await again();
  expect(asked.slice(5)).toEqual(['look', 'authorize:2']);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
  expect(await money(order)).toMatchObject({ payments: 1, captured: 0 });
});

test('a 500 for ever, and done all the same: the look tells, nothing is asked for again', async () => {
  const { asked, providers } = watched();
  const { handlers } = sagaParts(rig.db, providers);
  const [order] = await rig.orders(['pm_error_sticky_done']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  await handlers['saga-retry']({ attempt_ids: [id] }, soon());
  expect(asked).toEqual(['authorize', 'look']);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
});

test.each(['sticky_before', 'sticky_after'])('capture %s: captured once, in the end', async (kind) => {
  await rig.sandbox.admin('faults', { faults: [{ on: 'capture', kind, times: 1 }] });
  const { asked, providers } = watched();
  const { handlers } = sagaParts(rig.db, providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  await handlers['saga-capture']({ attempt_ids: [id] }, soon());
  for (let minute = 0; minute < 4; minute++) {
    await pass(60_000);
    await handlers['saga-retry']({ attempt_ids: [id] }, soon()).catch(() => {});
  }
  expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]);
  expect(await money(order)).toMatchObject({ captures: 1, captured: 1000 });
  expect(asked.filter((one) => one.startsWith('capture'))).toEqual(
    kind === 'sticky_before' ? ['capture', 'capture:2'] : ['capture'],
  );
});

test('a void that is answered 500 for ever is asked for under another key, after its pause', async () => {
  const { asked, providers } = watched();
  const { handlers } = sagaParts(rig.db, providers);
  const [order] = await rig.orders(['pm_ok']);
  await handlers['saga-authorize']({ order_ids: [order] }, soon());
  const [{ id }] = await rig.attempts(order);
  await rig.sandbox.admin('faults', { faults: [{ on: 'void', kind: 'sticky_before', times: 1 }] });
  await rig.db.query({
    text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
    values: [order],
  });
  for (let minute = 0; minute < 4; minute++) {
    await handlers['saga-retry']({ attempt_ids: [id] }, soon()).catch(() => {});
    await pass(60_000);
  }
  expect(asked.filter((one) => one.startsWith('void'))).toEqual(['void', 'void:2']);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]);
});

test('a job that comes again after 25 h, when the provider knows no key any more, looks first', async () => {
  const { asked, providers } = watched();
  const { handlers } = sagaParts(rig.db, providers);
  const [authorized, lost] = await rig.orders(['pm_ok', 'pm_ok']);
  // Of one the answer was lost, of the other the request.
  await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'no_answer', times: 1 }] });
  await handlers['saga-authorize']({ order_ids: [authorized] }, soon());
  await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'unavailable', times: 1 }] });
  await handlers['saga-authorize']({ order_ids: [lost] }, soon());
  await rig.sandbox.admin('forget-keys', {});
  await pass(25 * 3_600_000);
  asked.length = 0;
  for (const order of [authorized, lost]) {
    const [{ id }] = await rig.attempts(order);
    await handlers['saga-look']({ attempt_ids: [id] }, soon());
  }
  expect(asked).toEqual(['look', 'look', 'authorize']);
  for (const order of [authorized, lost]) {
    expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
    expect(await money(order)).toMatchObject({ payments: 1, open: 1 });
  }
});

describe('a provider that cannot close a name', () => {
  const open = () =>
    changed(rig.providers, (psp) => ({
      capabilities: { ...psp.capabilities, closes_references: false },
      void: (request) => {
        voids.push(request.reference);
        return psp.void(request);
      },
    }));
  const voids: string[] = [];
  beforeEach(() => {
    voids.length = 0;
  });

  async function canceledBeforeItsAnswer(): Promise<{ order: string; id: string }> {
    const [order] = await rig.orders(['pm_ok']);
    await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'unavailable', times: 1 }] });
    await sagaParts(rig.db, open()).handlers['saga-authorize']({ order_ids: [order] }, soon());
    await rig.db.query({
      text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
      values: [order],
    });
    const [{ id }] = await rig.attempts(order);
    return { order, id };
  }

  test('is believed to have nothing only once every call that may be under way has ended', async () => {
    const { order, id } = await canceledBeforeItsAnswer();
    const { handlers } = sagaParts(rig.db, open());
    const look = () => handlers['saga-reverse']({ attempt_ids: [id] }, soon());
    await look();
    await pass(60_000);
    await look();
    expect(await rig.attempts(order)).toMatchObject([{ state: 'unknown', reversal_wanted: true }]);
    await pass(31_000);
    await look();
    expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]);
    expect(voids).toEqual([]);
  });

  test('has a call under way that comes through: it is given back', async () => {
    const { order, id } = await canceledBeforeItsAnswer();
    const { handlers } = sagaParts(rig.db, open());
    const look = () => handlers['saga-reverse']({ attempt_ids: [id] }, soon());
    await look();
    const { reference, ...late } = { reference: id, order_id: order };
    await rig.providers.chosen.authorize({
      ...{
        ...late,
        reference,
        psp_ref: null,
        idempotency_key: `${id}:authorize`,
        amount: 1000,
        currency: 'USD',
      },
      ...{
        payment_method: { type: 'card', token: 'pm_ok' },
        expires_at: new Date(),
        return_url: 'http://shop/',
      },
    });
    await pass(100_000);
    await look();
    expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]);
    expect(voids).toEqual([id]);
    expect(await money(order)).toMatchObject({ open: 0, captured: 0 });
  });
});

describe('a refusal that does not say how the payment stands', () => {
  /** A provider that takes each name once, and knows no keys: whoever comes second is refused. */
  function once() {
    const taken = new Set<string>();
    return changed(rig.providers, (psp) => ({
      authorize: async (request) => {
        if (taken.has(request.reference)) return { kind: 'declined', code: 'already_there' };
        taken.add(request.reference);
        return psp.authorize(request);
      },
    }));
  }

  test('is no decline where there is a payment by another call', async () => {
    const providers = once();
    let looks = 0;
    const blind = changed(providers, (psp) => ({
      // The first look comes too early to see the call that is under way.
      lookUp: (request) => (looks++ === 0 ? Promise.resolve({ kind: 'absent' }) : psp.lookUp(request)),
    }));
    const [order] = await rig.orders(['pm_ok']);
    await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'no_answer', times: 1 }] });
    const { handlers } = sagaParts(rig.db, blind);
    await handlers['saga-authorize']({ order_ids: [order] }, soon());
    const [{ id }] = await rig.attempts(order);
    await handlers['saga-look']({ attempt_ids: [id] }, soon());
    expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
    expect(await rig.state(order)).toBe('confirmed');
  });

  test('is one where there is none', async () => {
    const refusing = changed(rig.providers, () => ({
      authorize: () => Promise.resolve({ kind: 'declined', code: 'no_such_token' }),
    }));
    const [order] = await rig.orders(['pm_ok']);
    await sagaParts(rig.db, refusing).handlers['saga-authorize']({ order_ids: [order] }, soon());
    expect(await rig.attempts(order)).toMatchObject([{ state: 'declined', decline_code: 'no_such_token' }]);
  });
});

test('an answer that brings money when its attempt was closed by another: the money goes back, without any webhook', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: 'webhook', kind: 'lose' }] });
  const { wait, open } = latch();
  const slow = sagaParts(
    rig.db,
    changed(rig.providers, (psp) => ({
      authorize: async (request) => {
        const outcome = await psp.authorize(request);
        await wait;
        return outcome;
      },
    })),
  );
  const [order] = await rig.orders(['pm_ok']);
  const under_way = slow.handlers['saga-authorize']({ order_ids: [order] }, soon());
  await eventually(async () => expect(await money(order)).toMatchObject({ open: 1 }));
  const [{ id }] = await rig.attempts(order);
  const refusing = changed(rig.providers, () => ({
    authorize: () => Promise.resolve({ kind: 'declined', code: 'already_there' }),
    lookUp: () => Promise.resolve({ kind: 'absent' }),
  }));
  await sagaParts(rig.db, refusing).handlers['saga-look']({ attempt_ids: [id] }, soon());
  expect(await rig.state(order)).toBe('payment_failed');
  open();
  await under_way;
  await rig.start();
  await eventually(async () => expect(await money(order)).toMatchObject({ open: 0, captured: 0 }));
});

test('in a running saga a repeated 500 comes to its end without anybody’s help', async () => {
  await rig.sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'sticky_before', times: 1 }] });
  await rig.start({ patience: { same_key_ms: 100, quiet_ms: 100 } });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(
    async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]),
    25_000,
  );
  expect(await money(order)).toMatchObject({ payments: 1, captures: 1 });
});
