/**
 * Whatever happens to one order's payment in whatever order, and however often: at most one capture that stays, and
 * either goods and their price or neither. Judged from the sandbox's own journal.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { seeded } from '../../payments/sandbox/seeded.ts';
import { pastDeadline } from '../../test/support/ledger.ts';
import { settleInbox } from './inbox.ts';
import { sagaParts, soon } from './testing/parts.ts';
import { type TestProvider, testProvider, type Webhook } from './testing/provider.ts';
import { type SagaRig, sagaRig } from './testing/rig.ts';

let provider: TestProvider;
let rig: SagaRig;
/** Webhooks that the sandbox sent, by order: kept back, to be delivered when a test wants. */
const sent = new Map<string, Webhook[]>();

beforeAll(async () => {
  provider = await testProvider();
  rig = await sagaRig(provider);
  provider.deliverTo(async (webhook) => {
    const { order_id } = JSON.parse(webhook.raw.toString()).payment;
    sent.set(order_id, [...(sent.get(order_id) ?? []), webhook]);
    return true;
  });
  await rig.sandbox.admin('settings', { events: 'all', late_ms: 600_000 });
});
afterAll(async () => {
  await rig.close();
  await provider.close();
});

type Action = (order: string) => Promise<unknown>;

function actionsOn(saga: ReturnType<typeof sagaParts>): Record<string, Action> {
  const { handlers, settler } = saga;
  const attemptIds = async (order: string) => (await rig.attempts(order)).map((attempt) => attempt.id);
  const quietly = (run: Promise<unknown>) => run.catch(() => {});
  return {
    authorize: (order) => handlers['saga-authorize']({ order_ids: [order] }, soon()),
    poll: async (order) => handlers['saga-look']({ attempt_ids: await attemptIds(order) }, soon()),
    retry: async (order) => quietly(handlers['saga-retry']({ attempt_ids: await attemptIds(order) }, soon())),
    reverse: async (order) => handlers['saga-reverse']({ attempt_ids: await attemptIds(order) }, soon()),
    // Everything the provider has said so far, newest first, each twice.
    webhooks: async (order) => {
      const events = [...(sent.get(order) ?? [])].reverse();
      for (const { headers, raw } of [...events, ...events]) {
        const receipt = await receiveWebhook(rig.db, rig.providers, {
          provider: 'sandbox',
          headers,
          raw,
          now_ms: Date.now(),
        });
        expect(['stored', 'known']).toContain(receipt.kind);
      }
      await settleInbox(rig.db, rig.providers, settler);
    },
    release: async (order) => {
      for (const reference of await attemptIds(order)) await rig.sandbox.admin('release', { reference });
    },
    cancel: (order) =>
      rig.db.query({
        text: `UPDATE orders SET state = 'canceled', cause = 'test', actor = 'buyer', updated_at = now()
               WHERE id = $1 AND state IN ('reserved', 'authorized', 'confirmed')`,
        values: [order],
      }),
    expire: async (order) => {
      await pastDeadline(rig.db, [order]);
      await rig.db.query({
        text: `UPDATE orders SET state = 'expired', cause = 'deadline', actor = 'reconciler', updated_at = now()
               WHERE id = $1 AND state IN ('reserved', 'authorized')`,
        values: [order],
      });
    },
  };
}

/** Lets the saga run until nothing is left to do, then asks the witness. */
async function judge(orders: readonly string[]): Promise<void> {
  const saga = sagaParts(rig.db, rig.providers);
  const { release, poll, reverse, webhooks } = actionsOn(saga);
  await eachOf(orders, async (order) => {
    // What is still pending at the provider succeeds in the end: the worst case.
    for (let i = 0; i < 3; i++) {
      await release(order);
      await webhooks(order);
      await poll(order);
      await reverse(order);
    }
  });
  // Events that a test did not get to are no excuse.
  const { rows: left } = await rig.db.query({
    text: `SELECT o.state AS order_state, a.state FROM orders o JOIN attempts a ON a.order_id = o.id
           WHERE o.id = ANY ($1) AND NOT (a.state IN ('declined', 'voided', 'refunded')
             OR (a.state = 'captured' AND o.state = 'confirmed' AND NOT a.reversal_wanted))`,
    values: [orders],
  });
  expect(left).toEqual([]);
  const told = await rig.sandbox.testimony();
  expect(told.charged_twice).toEqual([]);
  const { rows } = await rig.db.query<{ id: string; state: string }>({
    text: 'SELECT id, state FROM orders WHERE id = ANY ($1)',
    values: [orders],
  });
  for (const { id, state } of rows) {
    const money = told.orders.get(id) ?? { captured: 0, refunded: 0, open: 0, unreversed_captures: 0 };
    expect(money.open, `${id} ${state}`).toBe(0);
    expect([id, money.captured - money.refunded]).toEqual([id, state === 'confirmed' ? 1000 : 0]);
  }
}

const CONCURRENCY = 8;

async function eachOf<T>(items: readonly T[], run: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) await run(items[i], i);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

test.each([
  ['pm_ok', 'cancel'],
  ['pm_ok', 'expire'],
  ['pm_late', 'cancel'],
  ['pm_late', 'expire'],
  ['pm_declined', 'cancel'],
])(
  '%s: every order of authorize, webhooks, poll, release and %s',
  async (token, end) => {
    const names = ['authorize', 'webhooks', 'poll', 'release', end];
    const ways = permutations(names);
    const orders = await rig.orders(ways.map(() => token));
    const actions = actionsOn(sagaParts(rig.db, rig.providers));
    await eachOf(ways, async (way, i) => {
      for (const name of way) await actions[name](orders[i]);
    });
    await judge(orders);
  },
  120_000,
);

test('anything at any time, also at once on two workers, with faults of every kind', async () => {
  const seed = Number(process.env.SAGA_SEED ?? 20_261_121);
  const random = seeded(seed);
  const kinds = ['error_before', 'error_after', 'no_answer', 'unavailable'];
  const targets = ['authorize', 'capture', 'void', 'refund', 'look_up'];
  const faults = targets.flatMap((on) => kinds.map((kind) => ({ on, kind, rate: 0.05 })));
  await rig.sandbox.admin('faults', { faults, seed });
  const tokens = ['pm_ok', 'pm_ok', 'pm_late', 'pm_slow', 'pm_timeout', 'pm_error_once', 'pm_declined'];
  const orders = await rig.orders(Array.from({ length: 150 }, (_, i) => tokens[i % tokens.length]));
  const workers = [0, 1].map(() => actionsOn(sagaParts(rig.db, rig.providers)));
  const names = [
    'authorize',
    'authorize',
    'poll',
    'retry',
    'reverse',
    'webhooks',
    'release',
    'cancel',
    'expire',
  ];
  const plans = orders.map(() =>
    Array.from({ length: 8 }, () => {
      // An end that comes late leaves time for the rest.
      const name = names[Math.floor(random() * (random() < 0.4 ? names.length : names.length - 2))];
      return { name, worker: random() < 0.5 ? 0 : 1, meanwhile: random() < 0.4 };
    }),
  );
  await eachOf(orders, async (order, i) => {
    const under_way: Promise<unknown>[] = [];
    for (const { name, worker, meanwhile } of plans[i]) {
      const run = workers[worker][name](order).catch(() => {});
      if (meanwhile) under_way.push(run);
      else await run;
    }
    await Promise.all(under_way);
  });
  await rig.sandbox.admin('faults', { faults: [] });
  await judge(orders);
}, 120_000);
