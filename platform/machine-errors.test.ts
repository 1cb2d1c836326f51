import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { authorizeOrders } from '../ledger/orders/authorize-orders.ts';
import { ledgerOrders, ledgerSale, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { countMachineErrors } from './machine-errors.ts';
import { createPool, type Pool, withTransaction } from './postgres.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  await setHeartbeat(ledger.db);
  db = createPool({ url: ledger.url, max: 2, application_name: 'machines', on_error: () => {} });
});
afterAll(async () => {
  await db.end();
  await ledger.close();
});

test('a move that no machine has is refused and counted, wherever it is caught; others are not', async () => {
  const registry = new Registry();
  countMachineErrors([db], registry);
  const counted = async () =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith('stampede_machine_errors_total'));
  const lines = (order: number, attempt: number) => [
    `stampede_machine_errors_total{machine="order"} ${order}`,
    `stampede_machine_errors_total{machine="attempt"} ${attempt}`,
    'stampede_machine_errors_total{machine="refund"} 0',
  ];
  expect(await counted()).toEqual(lines(0, 0));
  const [id] = await ledgerOrders(ledger.db, await ledgerSale(ledger.db), [{}]);
  await withTransaction(db, (tx) => authorizeOrders(tx, [id], { cause: 'test', actor: 'test' }));
  const set = (table: string, key: string, state: string) =>
    db.query({ text: `UPDATE ${table} SET state = $2 WHERE ${key} = $1`, values: [id, state] });
  await expect(set('orders', 'id', 'delivered')).rejects.toMatchObject({ constraint: 'order_transitions' });
  await db.query({
    text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state)
           VALUES ($1, 1, 'sandbox', 'card', 'pm_ok', 1000, 'USD', 'voided')`,
    values: [id],
  });
  const within = withTransaction(db, async (tx) => {
    await tx.query({ text: `UPDATE attempts SET state = 'captured' WHERE order_id = $1`, values: [id] });
  });
  await expect(within).rejects.toMatchObject({ constraint: 'attempt_transitions' });
  await expect(set('orders', 'id', 'nonsense')).rejects.toThrow();
  await expect(db.query('SELECT 1 / 0')).rejects.toThrow();
  expect(await counted()).toEqual(lines(2, 1));
});
