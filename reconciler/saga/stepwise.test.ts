/** The stepwise road: the buyer starts the payment, and confirms once it is authorized. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PaymentMethod } from '../../domain/types.ts';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../ledger/orders/confirm-order.ts';
import { startPayment } from '../../ledger/payments/start-payment.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import { type TestProvider, testProvider } from './testing/provider.ts';
import { eventually, type SagaRig, sagaRig } from './testing/rig.ts';

let provider: TestProvider;
let rig: SagaRig;
beforeAll(async () => {
  provider = await testProvider();
  rig = await sagaRig(provider);
  await rig.start();
});
afterAll(async () => {
  await rig.close();
  await provider.close();
});

async function locked(): Promise<{ tenant: string; order_id: string; buyer: string }> {
  const buyer = `buyer-${randomUUID()}`;
  const [order_id] = await rig.orders(['pm_ok'], { road: 'lock', buyer });
  return { tenant: 'default', order_id, buyer };
}

function start(order: Awaited<ReturnType<typeof locked>>, token: string) {
  const payment_method: PaymentMethod = { type: 'card', token };
  const request = {
    ...order,
    attempt_id: randomUUID(),
    payment_method,
    psp: 'sandbox',
    extension_ms: 60_000,
    look_again_ms: 60_000,
  };
  return startPayment(rig.db, request, (tx, attempt) => enqueueAttempts(tx, 'saga-look', [attempt.id]));
}

const money = async (order: string) => (await rig.sandbox.testimony()).orders.get(order);

test('authorized and no further until the buyer confirms, then captured', async () => {
  const order = await locked();
  expect((await start(order, 'pm_ok')).kind).toBe('started');
  await eventually(async () => expect(await rig.state(order.order_id)).toBe('authorized'));
  expect(await money(order.order_id)).toMatchObject({ captured: 0, open: 1 });
  const confirmed = await confirmOrder(rig.db, order, (tx, attempts) =>
    enqueueAttempts(
      tx,
      'saga-capture',
      attempts.map((attempt) => attempt.id),
    ),
  );
  expect(confirmed.kind).toBe('confirmed');
  await eventually(async () =>
    expect(await money(order.order_id)).toMatchObject({ captured: 1000, open: 0 }),
  );
});

test('a decline leaves the order reserved for another try; the last one fails it', async () => {
  const order = await locked();
  for (const [no, state] of [
    [1, 'reserved'],
    [2, 'reserved'],
    [3, 'payment_failed'],
  ] as const) {
    expect((await start(order, 'pm_declined')).kind).toBe('started');
    await eventually(async () => {
      expect((await rig.attempts(order.order_id)).map((attempt) => attempt.state)).toEqual(
        Array.from({ length: no }, () => 'declined'),
      );
    });
    expect(await rig.state(order.order_id)).toBe(state);
  }
});

test('a second try after a decline is captured, and only that', async () => {
  const order = await locked();
  await start(order, 'pm_insufficient_funds');
  await eventually(async () =>
    expect(await rig.attempts(order.order_id)).toMatchObject([{ state: 'declined' }]),
  );
  await start(order, 'pm_timeout');
  await eventually(async () => expect(await rig.state(order.order_id)).toBe('authorized'));
  await confirmOrder(rig.db, order, async () => {});
  await rig.db.query({
    text: 'UPDATE attempts SET next_look_at = now() WHERE order_id = $1',
    values: [order.order_id],
  });
  await eventually(async () =>
    expect(await money(order.order_id)).toMatchObject({ unreversed_captures: 1, captured: 1000, open: 0 }),
  );
});

test('canceled while authorized: the authorization is released', async () => {
  const order = await locked();
  await start(order, 'pm_ok');
  await eventually(async () => expect(await rig.state(order.order_id)).toBe('authorized'));
  expect(await cancelOrder(rig.db, order)).toEqual({ kind: 'canceled' });
  await eventually(async () =>
    expect(await rig.attempts(order.order_id)).toMatchObject([{ state: 'voided' }]),
  );
  expect(await money(order.order_id)).toMatchObject({ captured: 0, open: 0 });
});
