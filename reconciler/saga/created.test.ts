/** Providers that make a payment first and charge nothing until it is confirmed: its name is stored in between. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { storeReferences } from '../../ledger/payments/store-references.ts';
import type { Psp } from '../../payments/port.ts';
import type { Providers } from '../../payments/providers.ts';
import { pastDeadline } from '../../test/support/ledger.ts';
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

/**
 * The sandbox as such a provider: what `create` makes is a name; `authorize` needs it, and only a payment whose name
 * is told can be found. `under`: by which name a payment was made.
 */
function creating(overrides: (psp: Psp) => Partial<Psp> = () => ({})) {
  const asked: string[] = [];
  const made = new Map<string, string>();
  const providers = changed(rig.providers, (psp) => {
    const real = (request: { reference: string; psp_ref: string | null }) =>
      made.get(request.reference) ?? request.psp_ref;
    const base: Partial<Psp> = {
      create: (request) => {
        asked.push('create');
        return Promise.resolve({ kind: 'created', psp_ref: `made-${request.idempotency_key}` });
      },
      authorize: async (request) => {
        asked.push(`authorize ${request.psp_ref?.slice(0, 4)}`);
        const outcome = await psp.authorize(request);
        if ('payment' in outcome && outcome.payment) made.set(request.reference, outcome.payment.psp_ref);
        return outcome;
      },
      capture: (request) => psp.capture({ ...request, psp_ref: real(request) }),
      refund: (request) => psp.refund({ ...request, psp_ref: real(request) }),
      lookUp: async (request) => {
        asked.push('look');
        return request.psp_ref === null ? { kind: 'absent' } : psp.lookUp(request);
      },
    };
    return { ...base, ...overrides({ ...psp, ...base }) };
  });
  return { asked, providers };
}

async function reference(order: string): Promise<string | null> {
  const { rows } = await rig.db.query<{ psp_ref: string | null }>({
    text: 'SELECT psp_ref FROM attempts WHERE order_id = $1',
    values: [order],
  });
  return rows[0]?.psp_ref ?? null;
}

async function run(providers: Providers, order: string): Promise<void> {
  await sagaParts(rig.db, providers).handlers['saga-authorize']({ order_ids: [order] }, soon());
}

test('made, its name stored, then confirmed and captured', async () => {
  const seen: (string | null)[] = [];
  const { asked, providers } = creating((psp) => ({
    authorize: async (request) => {
      const { rows } = await rig.db.query<{ psp_ref: string }>('SELECT psp_ref FROM attempts');
      seen.push(rows[0].psp_ref, request.psp_ref);
      return psp.authorize(request);
    },
  }));
  await rig.start({ providers });
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  expect(asked).toEqual(['create', 'authorize made']);
  expect(seen[0]).toMatch(/^made-/);
  expect(seen[1]).toBe(seen[0]);
  expect(await money(order)).toMatchObject({ payments: 1, captures: 1 });
});

test('its order ends before the name is stored: never confirmed, and nothing is there to be undone', async () => {
  const { wait, open } = latch();
  const { asked, providers } = creating((psp) => ({
    create: async (request) => {
      const created = await psp.create?.(request);
      await wait;
      return created ?? { kind: 'unknown', reason: 'test' };
    },
  }));
  const [order] = await rig.orders(['pm_ok']);
  const under_way = run(providers, order);
  await eventually(async () => expect(asked).toEqual(['create']));
  await rig.expire(order);
  const [{ id }] = await rig.attempts(order);
  await sagaParts(rig.db, providers).handlers['saga-reverse']({ attempt_ids: [id] }, soon());
  expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]);
  open();
  await under_way;
  expect(asked).toEqual(['create']);
  expect(await reference(order)).toBeNull();
  expect(await money(order)).toBeUndefined();
});

test('its order ends between the name and the confirmation: given up by its name', async () => {
  const { wait, open } = latch();
  const { providers } = creating((psp) => ({
    authorize: async (request) => {
      await wait;
      return psp.authorize(request);
    },
  }));
  const [order] = await rig.orders(['pm_ok']);
  const under_way = run(providers, order);
  await eventually(async () => expect(await reference(order)).toMatch(/^made-/));
  await rig.expire(order);
  await rig.start({ providers });
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]));
  open();
  await under_way;
  const told = await money(order);
  expect(told?.open).toBe(0);
  expect(told?.captured).toBe(0);
});

test('lost between the name and the confirmation: looked up, then confirmed under the same name', async () => {
  const crashed = creating(() => ({ authorize: () => new Promise(() => {}) }));
  const [order] = await rig.orders(['pm_ok']);
  void run(crashed.providers, order);
  await eventually(async () => expect(await reference(order)).toMatch(/^made-/));
  const name = await reference(order);
  const { asked, providers } = creating();
  await run(providers, order);
  expect(asked).toEqual(['look', 'authorize made']);
  expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
  expect(name).toMatch(/^made-/);
});

test('made twice, by two workers: only the one whose name is stored is confirmed', async () => {
  let no = 0;
  const { asked, providers } = creating(() => ({
    create: () => Promise.resolve({ kind: 'created', psp_ref: `made-${no++}` }),
  }));
  const [order] = await rig.orders(['pm_ok']);
  const { handlers } = sagaParts(rig.db, providers);
  await Promise.all([1, 2, 3].map(() => handlers['saga-authorize']({ order_ids: [order] }, soon())));
  await rig.start({ providers });
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  expect(await money(order)).toMatchObject({ payments: 1, captures: 1 });
  expect(asked.filter((one) => one.startsWith('authorize')).length).toBeGreaterThan(0);
});

test('what can’t be made is declined; an error on the way is tried again', async () => {
  const [refused, erring] = await rig.orders(['pm_ok', 'pm_ok']);
  let errors = 0;
  const { providers } = creating((psp) => ({
    create: (request) => {
      if (request.order_id === refused)
        return Promise.resolve({ kind: 'declined', code: 'amount_too_small' });
      if (errors++ === 0) return Promise.resolve({ kind: 'unknown', reason: 'http_500', answered: true });
      return psp.create?.(request) ?? Promise.reject(new Error('no create'));
    },
  }));
  await rig.start({ providers });
  await rig.enqueue([refused, erring]);
  await eventually(async () => expect(await rig.state(refused)).toBe('payment_failed'));
  await eventually(async () => expect(await rig.attempts(erring)).toMatchObject([{ state: 'captured' }]));
});

test('names are stored for attempts that may still be paid, and only the first', async () => {
  const { handlers } = sagaParts(
    rig.db,
    changed(rig.providers, () => ({ authorize: () => new Promise(() => {}) })),
  );
  const [open, canceled, over, paid] = await rig.orders(['pm_ok', 'pm_ok', 'pm_ok', 'pm_ok']);
  void handlers['saga-authorize']({ order_ids: [open, canceled, over] }, soon());
  await eventually(async () => expect(await rig.attempts(over)).toHaveLength(1));
  await sagaParts(rig.db, rig.providers).handlers['saga-authorize']({ order_ids: [paid] }, soon());
  await rig.db.query({
    text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
    values: [canceled],
  });
  await pastDeadline(rig.db, [over]);
  // Its buyer may try another card, but this try is over.
  const [declined] = await rig.orders(['pm_ok'], { road: 'lock' });
  await rig.db.query({
    text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state)
           SELECT id, 1, 'sandbox', 'card', 'pm_declined', total, currency, 'declined' FROM orders WHERE id = $1`,
    values: [declined],
  });
  const ids: string[] = [];
  for (const order of [open, canceled, over, paid, declined]) ids.push((await rig.attempts(order))[0].id);
  const made = [...ids, randomUUID()].map((id) => ({ id, psp_ref: `name of ${id}` }));
  expect([...(await storeReferences(rig.db, made))]).toEqual([ids[0]]);
  expect([...(await storeReferences(rig.db, made))]).toEqual([ids[0]]);
  const other = made.map(({ id }) => ({ id, psp_ref: 'another' }));
  expect([...(await storeReferences(rig.db, other))]).toEqual([]);
});
