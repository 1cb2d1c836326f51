/** When money is taken: at once, for a parcel, or before the hold on it lapses; and orders that cost nothing. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findOrder } from '../../ledger/orders/find-order.ts';
import { recordShipment, type ShipmentRequest } from '../../ledger/payments/record-shipment.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import { changed } from './testing/fake-parts.ts';
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
const onShipment = () => rig.db.query(`UPDATE sales SET capture = 'on_shipment'`);
const DAY_MS = 86_400_000;

/** Lets the clock be so much later for attempts. */
const pass = (ms: number) =>
  rig.db.query({
    text: `UPDATE attempts SET updated_at = updated_at - $1 * interval '1 millisecond',
             capture_by = capture_by - $1 * interval '1 millisecond',
             next_look_at = next_look_at - $1 * interval '1 millisecond'`,
    values: [ms],
  });

const ship = (order_id: string, request: Partial<ShipmentRequest> = {}) =>
  recordShipment(
    rig.db,
    { tenant: 'default', order_id, actor: 'admin:ops', carrier: 'DHL', ...request },
    (tx, ids) => enqueueAttempts(tx, 'saga-capture', ids),
  );

async function authorized(): Promise<string> {
  await onShipment();
  const [order] = await rig.orders(['pm_ok']);
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]));
  return order;
}

async function history(order: string): Promise<string[]> {
  return ((await findOrder(rig.db, 'default', order))?.history ?? []).map(
    ({ to, cause }) => `${to} ${cause}`,
  );
}

describe('a sale whose money is taken on shipment', () => {
  test('takes it when the parcel is recorded, and ships the order then, in one transaction', async () => {
    await rig.start();
    const order = await authorized();
    expect(await rig.state(order)).toBe('confirmed');
    expect(await money(order)).toMatchObject({ captured: 0, open: 1 });
    expect(await ship(order)).toEqual({ kind: 'recorded' });
    await eventually(async () => expect(await rig.state(order)).toBe('shipped'));
    expect(await money(order)).toMatchObject({ captures: 1, captured: 1000, open: 0 });
    expect(await ship(order)).toEqual({ kind: 'already', state: 'shipped' });
    expect(await ship(order, { carrier: 'UPS' })).toEqual({ kind: 'conflict' });
    expect((await history(order)).slice(3)).toEqual([
      'confirmed shipment_recorded',
      'confirmed payment_captured',
      'shipped shipped',
    ]);
  });

  test('leaves it alone while there is no parcel, and does not look all the time', async () => {
    await rig.start();
    const order = await authorized();
    await pass(60_000);
    await eventually(async () => {
      const { rows } = await rig.db.query<{ days: number }>(
        `SELECT extract(epoch FROM next_look_at - now())::float8 / 86400 AS days FROM attempts`,
      );
      expect(rows[0].days).toBeGreaterThan(5.9);
    });
    expect(await money(order)).toMatchObject({ captured: 0, open: 1 });
  });

  test('takes it a day before the hold on it lapses, parcel or not', async () => {
    await rig.start();
    const order = await authorized();
    await pass(5.9 * DAY_MS);
    await eventually(async () => {
      const { rows } = await rig.db.query<{ rests: boolean }>(
        'SELECT next_look_at > now() AS rests FROM attempts',
      );
      expect(rows[0].rests).toBe(true);
    });
    expect(await money(order)).toMatchObject({ captured: 0 });
    await pass(0.2 * DAY_MS);
    await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
    expect(await rig.state(order)).toBe('confirmed');
    expect(await ship(order)).toEqual({ kind: 'shipped' });
  });

  test('eight days later, after an outage: what has lapsed is counted, and is not shipped unpaid', async () => {
    const first = await rig.start();
    const order = await authorized();
    await first.stop();
    await pass(8 * DAY_MS);
    // As the provider has it by now: the hold on the money is gone.
    const lapsed = changed(rig.providers, (psp) => ({
      lookUp: async (request) => {
        const known = await psp.lookUp(request);
        if (known.kind !== 'found') return known;
        return { kind: 'found', payment: { ...known.payment, status: 'voided' } };
      },
    }));
    await rig.start({ providers: lapsed });
    await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'voided' }]));
    expect(await rig.state(order)).toBe('confirmed');
    expect(await ship(order)).toEqual({ kind: 'unpaid' });
    expect(await history(order)).not.toContain('confirmed shipment_recorded');
    expect(await money(order)).toMatchObject({ captured: 0 });
  });

  test('a parcel recorded while the capture is settled is shipped all the same, many times over', async () => {
    await onShipment();
    await rig.start();
    const orders = await rig.orders(Array.from({ length: 40 }, () => 'pm_ok'));
    await rig.enqueue(orders);
    await eventually(async () => {
      for (const order of orders) expect(await rig.attempts(order)).toMatchObject([{ state: 'authorized' }]);
    });
    // Due for both reasons at once.
    await pass(6.5 * DAY_MS);
    await Promise.all(orders.map((order) => ship(order)));
    await eventually(async () => {
      for (const order of orders) expect(await rig.state(order)).toBe('shipped');
    });
    const told = await rig.sandbox.testimony();
    expect(orders.filter((order) => told.orders.get(order)?.captured !== 1000)).toEqual([]);
  });
});

test('at once: captured first, shipped when the parcel is recorded; never before it is confirmed', async () => {
  await rig.start();
  const [order] = await rig.orders(['pm_ok']);
  expect(await ship(order)).toEqual({ kind: 'invalid_state', state: 'reserved' });
  await rig.enqueue([order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  expect(await ship(order)).toEqual({ kind: 'shipped' });
  expect(await ship('nobody')).toEqual({ kind: 'not_found' });
});

test('an order that costs nothing is paid without its provider, shipped, canceled like any other', async () => {
  await rig.start();
  const [order, other] = await rig.orders(['pm_ok', 'tok_anything']);
  await rig.db.query('UPDATE orders SET subtotal = 0, total = 0');
  await rig.enqueue([order, other]);
  await eventually(async () => {
    for (const one of [order, other]) {
      expect(await rig.state(one)).toBe('confirmed');
      expect(await rig.attempts(one)).toMatchObject([{ state: 'captured' }]);
    }
  });
  expect(await ship(order)).toEqual({ kind: 'shipped' });
  await rig.db.query({
    text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer' WHERE id = $1`,
    values: [other],
  });
  await eventually(async () => expect(await rig.attempts(other)).toMatchObject([{ state: 'refunded' }]));
  expect(await money(order)).toBeUndefined();
  expect(await money(other)).toBeUndefined();
});

test('money that its provider cannot hold is declined where a sale captures on shipment', async () => {
  const at_once = changed(rig.providers, (psp) => ({
    capabilities: { ...psp.capabilities, captures_at_once: ['wallet'] },
  }));
  await rig.start({ providers: at_once });
  await rig.db.query({
    text: `UPDATE sales SET capture = 'on_shipment' WHERE sale_no = $1`,
    values: [rig.sale.sale_no],
  });
  const [wallet, card] = await rig.orders(['pm_ok', 'pm_ok']);
  await rig.db.query({
    text: `UPDATE orders SET payment_method = jsonb_set(payment_method, '{type}', '"wallet"') WHERE id = $1`,
    values: [wallet],
  });
  await rig.enqueue([wallet, card]);
  await eventually(async () => expect(await rig.state(wallet)).toBe('payment_failed'));
  expect(await rig.attempts(wallet)).toMatchObject([{ decline_code: 'method_not_supported' }]);
  expect((await rig.sandbox.testimony()).orders.get(wallet)).toBeUndefined();
  await eventually(async () => expect(await rig.attempts(card)).toMatchObject([{ state: 'authorized' }]));
});

test('what a provider cannot take is declined before it is asked', async () => {
  const asked: string[] = [];
  const able = changed(rig.providers, (psp) => ({
    capabilities: { ...psp.capabilities, methods: ['card'], currencies: ['USD'] },
    authorize: (request) => {
      asked.push(request.currency);
      return psp.authorize(request);
    },
  }));
  await rig.start({ providers: able });
  const [upi, yen] = await rig.orders(['pm_ok', 'pm_ok']);
  await rig.db.query({
    text: `UPDATE orders SET payment_method = jsonb_set(payment_method, '{type}', '"upi"') WHERE id = $1`,
    values: [upi],
  });
  await rig.db.query({ text: `UPDATE orders SET currency = 'JPY' WHERE id = $1`, values: [yen] });
  await rig.enqueue([upi, yen]);
  for (const order of [upi, yen]) {
    await eventually(async () => expect(await rig.state(order)).toBe('payment_failed'));
    expect(await rig.attempts(order)).toMatchObject([
      { state: 'declined', decline_code: 'method_not_supported' },
    ]);
  }
  expect(asked).toEqual([]);
});

test('a provider that is not configured any more: its orders stand still, counted; the others go on', async () => {
  const [gone, order] = await rig.orders(['pm_ok', 'pm_ok']);
  await rig.db.query({
    text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency)
           SELECT id, 1, 'former', 'card', 'pm_ok', total, currency FROM orders WHERE id = $1`,
    values: [gone],
  });
  await rig.start();
  await rig.enqueue([gone, order]);
  await eventually(async () => expect(await rig.attempts(order)).toMatchObject([{ state: 'captured' }]));
  await eventually(async () => {
    expect(await rig.registry.metrics()).toMatch(
      /stampede_payment_anomalies_total\{what="not_configured"\} [1-9]/,
    );
  });
  expect(await rig.state(gone)).toBe('reserved');
  expect(await rig.attempts(gone)).toMatchObject([{ state: 'unknown' }]);
});
