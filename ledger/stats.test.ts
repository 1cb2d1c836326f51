import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerOrders, ledgerSale, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { authorizeOrders } from './orders/authorize-orders.ts';
import { confirmOrders } from './orders/confirm-orders.ts';
import { ordersByState, ordersHeld, ordersStuck } from './stats.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
beforeAll(async () => {
  ledger = await testLedger();
});
afterAll(() => ledger.close());

test('orders are counted by state, those that hold, and those whose payment stands still', async () => {
  const { db } = ledger;
  await setHeartbeat(db);
  const sale = await ledgerSale(db);
  const by = { cause: 'test', actor: 'test' };
  const [, stepwise, waiting, captured, unreversed] = await ledgerOrders(db, sale, [
    {},
    { road: 'lock' },
    { road: 'lock' },
    {},
    {},
  ]);
  await authorizeOrders(db, [waiting, captured, unreversed], by);
  await confirmOrders(db, [captured, unreversed], by);
  const attempt = (orderId: string, state: string, reversal_wanted = false) =>
    db.query({
      text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state, reversal_wanted)
             VALUES ($1, 1, 'sandbox', 'card', 'pm_ok', 1000, 'USD', $2, $3)`,
      values: [orderId, state, reversal_wanted],
    });
  await attempt(stepwise, 'unknown');
  await attempt(waiting, 'authorized');
  await attempt(captured, 'captured');
  await attempt(unreversed, 'captured', true);
  expect(Object.fromEntries((await ordersByState(db)).map((row) => [row.state, row.orders]))).toEqual({
    reserved: 2,
    authorized: 1,
    confirmed: 2,
  });
  expect(await ordersHeld(db)).toBe(3);
  expect(await ordersStuck(db, 60_000)).toBe(0);
  // The unpaid order of the checkout road, the payment nobody knows the outcome of, the money that has to go back.
  expect(await ordersStuck(db, -1)).toBe(3);
});
