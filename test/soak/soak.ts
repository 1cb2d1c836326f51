/**
 * Orders through a provider with faults of every kind, while the saga is killed with -9 again and again: everybody
 * ends with goods or with their money. The same seed draws the same orders, deeds and sequence of faults; what they
 * meet depends on the machine, so a failure shows again with its seed soon, not always.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../../payments/sandbox/seeded.ts';
import { act, ingest, openSales, type SoakOrder } from './deeds.ts';
import { judge, leftToDo, underWay } from './judge.ts';
import { faultsOf, planOrders } from './plan.ts';
import { openWorld, type World } from './world.ts';

export type SoakOptions = {
  /** A ledger with all migrations, without orders. */
  database_url: string;
  orders: number;
  seed: number;
  /** Chance that a call to the provider, or a webhook, is struck by a fault. */
  fault_rate: number;
  kill_every_ms: number;
  /** How long it may take to come to an end once no fault strikes any more, ms. */
  patience_ms: number;
  progress?: (text: string) => void;
};

export type SoakResult = {
  orders: number;
  seconds: number;
  kills: number;
  /** Orders by state. */
  states: Record<string, number>;
  /** At the provider, minor units. */
  captured: number;
  refunded: number;
  payments: number;
  partial_refunds: number;
  /** What is not as it must be; must be empty. */
  wrong: string[];
};

const CHUNK = 100;
/** Orders under way at once: faults and kills are to meet many of them at every step. */
const UNDER_WAY_MAX = 600;

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const begun = performance.now();
  const random = seeded(options.seed);
  const plan = planOrders(options.orders, random);
  const world = await openWorld(options.database_url);
  const running = { kills: 0, over: false };
  const deeds = new Set<Promise<void>>();
  let killing = Promise.resolve();
  try {
    const { sandbox } = world.provider;
    await sandbox.admin('settings', { events: 'untold', slow_ms: 200, late_ms: 500, upi_ms: 500 });
    await sandbox.admin('faults', { faults: faultsOf(options.fault_rate), seed: options.seed });
    const sales = await openSales(world, options.orders);
    killing = killAgainAndAgain(world, running, options);
    const orders: SoakOrder[] = [];
    for (let at = 0; at < plan.length; at += CHUNK) {
      while ((await underWay(world.db)) > UNDER_WAY_MAX) await sleep(50);
      const chunk = await ingest(world, sales, plan.slice(at, at + CHUNK));
      orders.push(...chunk);
      for (const order of chunk) for (const deed of order.deeds) doLater(world, order, deed, deeds);
      options.progress?.(`${orders.length} of ${plan.length} orders, saga killed ${running.kills} times`);
    }
    while (deeds.size > 0) await Promise.all(deeds);
    running.over = true;
    await killing;

    // From now on nothing fails. Who waits for a parcel gets it; nobody comes back to the others.
    await sandbox.admin('faults', { faults: [] });
    await world.db.query(
      `UPDATE orders SET expires_at = now() WHERE held AND expires_at > now() + interval '2 seconds'`,
    );
    await drain(world, orders, options);
    const told = await sandbox.testimony();
    const { rows } = await world.db.query<{ state: string; orders: number }>(
      'SELECT state, count(*) AS orders FROM orders GROUP BY state ORDER BY state',
    );
    const parts = await world.db.query<{ done: number }>(
      `SELECT count(*) AS done FROM refunds WHERE state = 'done'`,
    );
    return {
      orders: options.orders,
      seconds: (performance.now() - begun) / 1_000,
      kills: running.kills,
      states: Object.fromEntries(rows.map(({ state, orders: count }) => [state, count])),
      ...{ captured: told.captured, refunded: told.refunded, payments: told.payments },
      partial_refunds: parts.rows[0].done,
      wrong: await judge(world.db, told),
    };
  } finally {
    running.over = true;
    await killing;
    await world.close();
  }
}

async function killAgainAndAgain(
  world: World,
  running: { kills: number; over: boolean },
  options: SoakOptions,
): Promise<void> {
  while (!running.over) {
    for (let waited = 0; waited < options.kill_every_ms && !running.over; waited += 50) await sleep(50);
    if (running.over) return;
    await world.killSaga();
    running.kills += 1;
  }
}

function doLater(
  world: World,
  order: SoakOrder,
  deed: SoakOrder['deeds'][number],
  deeds: Set<Promise<void>>,
): void {
  const done = sleep(deed.after_ms)
    .then(() => act(world, order, deed))
    .catch(() => {})
    .finally(() => deeds.delete(done));
  deeds.add(done);
}

/** Some are confirmed only now: whoever was asked to approve a payment has a moment left. */
async function shipConfirmed(world: World, orders: readonly SoakOrder[]): Promise<void> {
  const { rows } = await world.db.query<{ id: string }>(
    `SELECT o.id FROM orders o WHERE o.state = 'confirmed'
       AND NOT EXISTS (SELECT FROM shipments s WHERE s.order_id = o.id)`,
  );
  const waiting = new Set(rows.map(({ id }) => id));
  for (const order of orders) {
    if (waiting.has(order.id)) await act(world, order, { kind: 'ship', after_ms: 0 });
  }
}

/** Whatever the pauses between looks are: it is looked at now, again and again. */
async function drain(world: World, orders: readonly SoakOrder[], options: SoakOptions): Promise<void> {
  const until = performance.now() + options.patience_ms;
  let left = 0;
  for (let no = 0; performance.now() < until; no++) {
    left = await leftToDo(world.db);
    if (left === 0) return;
    options.progress?.(`${left} things left to do`);
    await shipConfirmed(world, orders);
    await world.provider.sandbox.admin('release', {});
    if (no % 10 === 9) {
      await world.db.query(
        `UPDATE attempts SET next_look_at = now() WHERE unfinished AND next_look_at > now()`,
      );
      await world.db.query(`UPDATE refunds SET next_look_at = now() WHERE state = 'wanted'`);
      await world.db.query(`UPDATE psp_events SET next_look_at = now() WHERE settled_at IS NULL`);
    }
    await sleep(300);
  }
  const { rows } = await world.db.query(`
    SELECT o.state, o.road, a.state AS attempt, a.reversal_wanted, a.token, count(*) AS orders
    FROM orders o LEFT JOIN attempts a ON a.order_id = o.id
    WHERE a.unfinished OR o.state IN ('reserved', 'authorized') GROUP BY 1, 2, 3, 4, 5`);
  throw new Error(`${left} things are still to do: ${JSON.stringify(rows)}`);
}
