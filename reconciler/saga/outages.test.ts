/** A provider that is away for longer than holds last, and workers that are stopped for longer than their jobs last. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { type TestProvider, testProvider } from './testing/provider.ts';
import { eventually, type SagaRig, sagaRig } from './testing/rig.ts';

let provider: TestProvider;
let rig: SagaRig;
const workers: ChildProcess[] = [];
beforeAll(async () => {
  provider = await testProvider();
});
afterAll(() => provider.close());
beforeEach(async () => {
  rig = await sagaRig(provider);
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    if (worker.exitCode !== null || worker.signalCode !== null) continue;
    const gone = once(worker, 'exit');
    worker.kill('SIGKILL');
    await gone;
  }
  await rig.close();
});

async function worker(): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
  const { url, secret } = rig.sandbox;
  const settings = { database_url: rig.url, url, secret, timeout_ms: 5_000 };
  const child = fork(main, [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] });
  workers.push(child);
  await once(child, 'message');
  return child;
}

async function attemptsBy(orders: readonly string[]): Promise<Record<string, number>> {
  const { rows } = await rig.db.query<{ what: string; orders: number }>({
    text: `SELECT o.state || ' ' || coalesce(a.state, '-') AS what, count(*) AS orders
           FROM orders o LEFT JOIN attempts a ON a.order_id = o.id WHERE o.id = ANY ($1) GROUP BY 1`,
    values: [orders],
  });
  return Object.fromEntries(rows.map(({ what, orders: count }) => [what, count]));
}

test('the provider is gone for longer than a hold: who can’t wait expires, and is not charged when it is back; the others are paid', async () => {
  const before = (await rig.sandbox.testimony()).orders;
  await rig.start({ patience: { same_key_ms: 100, quiet_ms: 100 } });
  const patient = await rig.orders(Array.from({ length: 60 }, () => 'pm_ok'));
  const hasty = await rig.orders(
    Array.from({ length: 60 }, () => 'pm_ok'),
    { left_ms: 1_500 },
  );
  const declined = await rig.orders(['pm_declined', 'pm_declined']);
  await rig.sandbox.kill();
  for (const orders of [patient, hasty, declined]) await rig.enqueue(orders);
  await eventually(async () => {
    await expireDue(rig.db, { limit: 100 });
    const { rows } = await rig.db.query<{ left: number }>({
      text: `SELECT count(*) AS left FROM orders WHERE id = ANY ($1) AND state <> 'expired'`,
      values: [hasty],
    });
    expect(rows[0].left).toBe(0);
  }, 25_000);
  expect(await rig.state(patient[0])).toBe('reserved');
  await rig.sandbox.start();
  // Looks come with ever longer pauses; here nobody wants to wait for them.
  await eventually(async () => {
    await rig.db.query(`UPDATE attempts SET next_look_at = now() WHERE unfinished`);
    await rig.db.query(`UPDATE pgboss.job SET start_after = now() WHERE state < 'active'`);
    expect(await attemptsBy(patient)).toEqual({ 'confirmed captured': 60 });
    expect(await attemptsBy(declined)).toEqual({ 'payment_failed declined': 2 });
    const swept = await attemptsBy(hasty);
    expect((swept['expired voided'] ?? 0) + (swept['expired -'] ?? 0)).toBe(60);
  }, 60_000);
  const told = await rig.sandbox.testimony();
  const charged = (orders: string[]) => orders.filter((order) => (told.orders.get(order)?.captured ?? 0) > 0);
  expect(charged(hasty)).toEqual([]);
  expect(charged(patient)).toHaveLength(60);
  expect(told.open.filter((order) => !before.has(order))).toEqual([]);
}, 120_000);

test('a worker is stopped in the middle of its calls, its jobs expire and are done by another, and it resumes: nobody pays twice', async () => {
  const orders = await rig.orders(Array.from({ length: 120 }, () => 'pm_ok'));
  const first = await worker();
  await rig.sandbox.admin('faults', { faults: [{ on: 'capture', kind: 'delay', delay_ms: 40 }] });
  await rig.enqueue(orders);
  const reached = async () => (await rig.sandbox.testimony()).captured;
  const before = await reached();
  await eventually(async () => expect(await reached()).toBeGreaterThan(before));
  first.kill('SIGSTOP');
  // A minute later, as the queues see it.
  await rig.db.query(
    `UPDATE pgboss.job SET started_on = started_on - interval '2 minutes' WHERE state = 'active'`,
  );
  // It may have been stopped in a transaction: Postgres ends that, and its locks, after a while.
  await eventually(async () => {
    await rig.db.query('UPDATE attempts SET next_look_at = now() WHERE unfinished');
  }, 60_000);
  await rig.sandbox.admin('faults', { faults: [] });
  await rig.start();
  await eventually(
    async () => expect(await attemptsBy(orders)).toEqual({ 'confirmed captured': 120 }),
    60_000,
  );
  first.kill('SIGCONT');
  // It has resumed once it takes new work: orders that nobody else is there for.
  const [more] = await rig.orders(['pm_ok']);
  await rig.enqueue([more]);
  await eventually(async () => expect(await rig.attempts(more)).toMatchObject([{ state: 'captured' }]));
  await eventually(async () => {
    const { rows } = await rig.db.query<{ active: number }>(
      `SELECT count(*) AS active FROM pgboss.job WHERE state = 'active'`,
    );
    expect(rows[0].active).toBe(0);
  });
  const told = await rig.sandbox.testimony();
  for (const order of orders) {
    expect(told.orders.get(order)).toMatchObject({
      payments: 1,
      captures: 1,
      captured: 1000,
      refunded: 0,
      open: 0,
    });
  }
  expect(await attemptsBy(orders)).toEqual({ 'confirmed captured': 120 });
}, 120_000);
