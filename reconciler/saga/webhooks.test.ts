/**
 * Every permutation of an order's webhooks, each up to three times, mixed with polls, confirmations, cancellations and
 * deadlines. The provider went its way while nobody heard its answers: all that the ledger learns it learns from these.
 * Whatever comes first, last and again: one final state, one capture at most, and goods and their price or neither.
 *
 * Lives of few webhooks are played in full, of the others every plain permutation and a sample drawn by SAGA_SEED;
 * SAGA_ALL=1 plays all of them.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../ledger/orders/confirm-order.ts';
import { recordAttempts } from '../../ledger/payments/record-attempts.ts';
import { requestRefund } from '../../ledger/payments/request-refund.ts';
import { startPayment } from '../../ledger/payments/start-payment.ts';
import { enqueueAttempts, enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import { idempotencyKey } from '../../payments/port.ts';
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { seeded } from '../../payments/sandbox/seeded.ts';
import { withTransaction } from '../../platform/postgres.ts';
import { pastDeadline } from '../../test/support/ledger.ts';
import { settleInbox } from './inbox.ts';
import { sagaParts, soon } from './testing/parts.ts';
import { type TestProvider, testProvider, type Webhook } from './testing/provider.ts';
import { eventually, type SagaRig, sagaRig } from './testing/rig.ts';

const SEED = Number(process.env.SAGA_SEED ?? 20_261_121);
const SAMPLE = process.env.SAGA_ALL ? Number.POSITIVE_INFINITY : 60;

let provider: TestProvider;
let rig: SagaRig;
/** What the sandbox has sent, by order and what it tells of. */
let sent: Map<string, Map<string, Webhook>>;
beforeAll(async () => {
  provider = await testProvider();
});
afterAll(() => provider.close());
beforeEach(async () => {
  rig = await sagaRig(provider);
  sent = new Map();
  provider.deliverTo((webhook) => {
    const { type, payment } = JSON.parse(webhook.raw.toString());
    const known = sent.get(payment.order_id) ?? new Map();
    sent.set(payment.order_id, known.set(type, webhook));
    return Promise.resolve(true);
  });
  await rig.sandbox.admin('settings', { events: 'all', late_ms: 600_000 });
});
afterEach(() => rig.close());

type Played = { order: string; attempt: string; buyer: string };

/** A life of a payment: what happens at the provider, unheard, and which webhooks come of it. */
type Life = {
  name: string;
  token: string;
  road: 'checkout' | 'lock';
  /** What happens meanwhile, at any time: at most one of the ends. */
  mixed: readonly Deed[];
  webhooks: readonly string[];
  play: (played: Played) => Promise<void>;
  /** Money of its refunds by the operator. */
  given_back?: number;
};

type Deed = 'poll' | 'confirm' | 'cancel' | 'expire' | 'refund' | 'nothing';

async function authorize({ order, attempt }: Played, token: string): Promise<string> {
  const outcome = await rig.providers.chosen.authorize({
    ...{ reference: attempt, psp_ref: null, order_id: order, amount: 1000, currency: 'USD' },
    idempotency_key: idempotencyKey(attempt, 'authorize'),
    payment_method: { type: 'card', token },
    expires_at: new Date(Date.now() + 600_000),
    return_url: 'http://shop/',
  });
  if (!('payment' in outcome) || !outcome.payment) throw new Error(JSON.stringify(outcome));
  return outcome.payment.psp_ref;
}

async function step(
  what: 'capture' | 'refund',
  attempt: string,
  psp_ref: string,
  key = idempotencyKey(attempt, what),
  amount = 1000,
): Promise<void> {
  const request = { reference: attempt, psp_ref, idempotency_key: key, amount, currency: 'USD' };
  expect((await rig.providers.chosen[what](request)).kind).toBe('approved');
}

const LIVES: Life[] = [
  {
    name: 'authorized and captured',
    ...{ token: 'pm_ok', road: 'checkout', mixed: ['poll', 'cancel', 'expire', 'nothing'] },
    webhooks: ['payment.authorized', 'payment.captured'],
    play: async (played) => step('capture', played.attempt, await authorize(played, 'pm_ok')),
  },
  {
    name: '3-D Secure: pending, authorized, captured',
    ...{ token: 'pm_3ds', road: 'checkout', mixed: ['poll', 'cancel', 'expire', 'nothing'] },
    webhooks: ['payment.pending', 'payment.authorized', 'payment.captured'],
    play: async (played) => {
      const psp_ref = await authorize(played, 'pm_3ds');
      await rig.sandbox.admin('decide', { reference: played.attempt, approve: true });
      await step('capture', played.attempt, psp_ref);
    },
  },
  {
    name: '3-D Secure: pending, declined by its buyer',
    ...{ token: 'pm_3ds', road: 'checkout', mixed: ['poll', 'cancel', 'expire', 'nothing'] },
    webhooks: ['payment.pending', 'payment.declined'],
    play: async (played) => {
      await authorize(played, 'pm_3ds');
      await rig.sandbox.admin('decide', { reference: played.attempt, approve: false });
    },
  },
  {
    name: 'step by step: authorized, for its buyer to confirm',
    ...{ token: 'pm_3ds', road: 'lock', mixed: ['confirm', 'poll', 'cancel', 'expire', 'nothing'] },
    webhooks: ['payment.pending', 'payment.authorized'],
    play: async (played) => {
      await authorize(played, 'pm_3ds');
      await rig.sandbox.admin('decide', { reference: played.attempt, approve: true });
    },
  },
  {
    name: 'canceled, captured and refunded',
    ...{ token: 'pm_ok', road: 'checkout', mixed: ['poll', 'nothing'] },
    webhooks: ['payment.authorized', 'payment.captured', 'payment.refunded'],
    play: async (played) => {
      const psp_ref = await authorize(played, 'pm_ok');
      await step('capture', played.attempt, psp_ref);
      await deeds().cancel(played);
      await step('refund', played.attempt, psp_ref);
    },
  },
  {
    name: 'captured, and a part given back',
    ...{ token: 'pm_ok', road: 'checkout', mixed: ['poll', 'refund', 'nothing'], given_back: 300 },
    webhooks: ['payment.authorized', 'payment.captured', 'payment.partially_refunded'],
    play: async (played) => {
      const psp_ref = await authorize(played, 'pm_ok');
      await step('capture', played.attempt, psp_ref);
      await deeds().poll(played);
      const request = {
        tenant: 'default',
        order_id: played.order,
        key: 'k',
        amount: 300,
        actor: 'admin:ops',
      };
      const asked = await requestRefund(rig.db, request, (tx, refund) => enqueueRefunds(tx, [refund.id]));
      if (asked.kind !== 'requested') throw new Error(asked.kind);
      const key = idempotencyKey(played.attempt, 'refund', 1, asked.refund.id);
      await step('refund', played.attempt, psp_ref, key, 300);
    },
  },
];

function deeds(): Record<Deed, (played: Played) => Promise<unknown>> {
  const { handlers } = sagaParts(rig.db, rig.providers);
  const order_of = ({ order, buyer }: Played) => ({ tenant: 'default', order_id: order, buyer });
  return {
    poll: ({ attempt }) => handlers['saga-look']({ attempt_ids: [attempt] }, soon()),
    confirm: (played) =>
      confirmOrder(rig.db, order_of(played), (tx, attempts) =>
        enqueueAttempts(
          tx,
          'saga-capture',
          attempts.map(({ id }) => id),
        ),
      ),
    cancel: (played) => cancelOrder(rig.db, order_of(played)),
    expire: async ({ order }) => {
      await pastDeadline(rig.db, [order]);
      await rig.db.query({
        text: `UPDATE orders SET state = 'expired', cause = 'deadline', actor = 'reconciler', updated_at = now()
               WHERE id = $1 AND state IN ('reserved', 'authorized')`,
        values: [order],
      });
    },
    refund: async ({ order }) => {
      const { rows } = await rig.db.query<{ id: string }>({
        text: 'SELECT id FROM refunds WHERE order_id = $1',
        values: [order],
      });
      await handlers['saga-refund']({ refund_id: rows[0].id }, soon());
    },
    nothing: () => Promise.resolve(),
  };
}

/** An order whose attempt is in the ledger, and whose payment has gone its way at the provider. */
async function played(life: Life, buyer: string): Promise<Played> {
  const [order] = await rig.orders([life.token], { road: life.road, buyer });
  const begun = { psp: 'sandbox', look_again_ms: 600_000 };
  let attempt: string;
  if (life.road === 'checkout') {
    const [made] = await withTransaction(rig.db, (tx) => recordAttempts(tx, [order], begun));
    attempt = made.id;
  } else {
    const payment_method = { type: 'card', token: life.token } as const;
    const request = {
      tenant: 'default',
      buyer,
      order_id: order,
      payment_method,
      extension_ms: 1_000,
      ...begun,
    };
    const started = await startPayment(rig.db, request, () => Promise.resolve());
    if (started.kind !== 'started') throw new Error(started.kind);
    attempt = started.attempt.id;
  }
  const result = { order, attempt, buyer };
  await life.play(result);
  return result;
}

/** All sequences in which each item comes once, twice or three times. */
function sequences(items: readonly string[]): string[][] {
  const found: string[][] = [];
  const counts = items.map(() => 0);
  const go = (sequence: string[]) => {
    if (counts.every((count) => count > 0)) found.push(sequence);
    for (const [i, item] of items.entries()) {
      if (counts[i] === 3) continue;
      counts[i] += 1;
      go([...sequence, item]);
      counts[i] -= 1;
    }
  };
  go([]);
  return found;
}

function drawn<T>(items: T[], count: number, random: () => number): T[] {
  const rest = [...items];
  const result: T[] = [];
  while (result.length < count && rest.length > 0) {
    result.push(...rest.splice(Math.floor(random() * rest.length), 1));
  }
  return result;
}

async function eachOf<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) await run(items[i]);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

test.each(LIVES)(
  '$name',
  async (life) => {
    const random = seeded(SEED);
    const all = sequences(life.webhooks);
    const plain = all.filter((sequence) => sequence.length === life.webhooks.length);
    const rest = all.filter((sequence) => sequence.length > life.webhooks.length);
    const ways = [...plain, ...plain, ...drawn(rest, SAMPLE, random)].map((webhooks) => {
      const steps: string[] = [...webhooks];
      // Polls anywhere, and at most one other deed: a buyer does one thing.
      const deed = life.mixed[Math.floor(random() * life.mixed.length)];
      const more = random() < 0.4 && life.mixed.includes('poll') ? ['poll', deed] : [deed];
      for (const one of more) steps.splice(Math.floor(random() * (steps.length + 1)), 0, one);
      return steps;
    });
    const runs: { played: Played; steps: string[] }[] = [];
    await eachOf(
      [...ways.entries()],
      async ([i, steps]) => void runs.push({ steps, played: await played(life, `buyer-${i}`) }),
    );
    await eventually(async () => {
      for (const {
        played: { order },
      } of runs) {
        expect([...(sent.get(order)?.keys() ?? [])]).toEqual(expect.arrayContaining([...life.webhooks]));
      }
    }, 60_000);

    const { settler } = sagaParts(rig.db, rig.providers);
    const done = deeds();
    const settleAll = async () => {
      while (await settleInbox(rig.db, rig.providers, settler));
    };
    for (let at = 0; runs.some(({ steps }) => steps.length > at); at++) {
      await eachOf(runs, async ({ played: one, steps }) => {
        const what = steps[at];
        const webhook = what && sent.get(one.order)?.get(what);
        if (webhook) {
          const now_ms = Date.now();
          await receiveWebhook(rig.db, rig.providers, { provider: 'sandbox', ...webhook, now_ms });
        } else if (what) await done[what as Deed](one);
      });
      await settleAll();
    }

    // What is left to do is done by the saga; nobody comes back to an order that was not confirmed.
    await eachOf(runs, ({ played: one }) => done.expire(one));
    await rig.db.query('UPDATE attempts SET next_look_at = now()');
    await rig.start();
    const witness = await settled(
      life,
      runs.map((run) => run.played.order),
    );
    expect(witness).toEqual([]);
  },
  180_000,
);

/** Waits until every attempt has come to its end, then asks the provider's own record about each order's money. */
async function settled(life: Life, orders: string[]): Promise<string[]> {
  await eventually(async () => {
    const { rows } = await rig.db.query({
      text: `SELECT o.state AS order_state, a.state, a.reversal_wanted FROM orders o JOIN attempts a ON a.order_id = o.id
             WHERE o.id = ANY ($1) AND (a.unfinished OR EXISTS (
               SELECT FROM refunds r WHERE r.attempt_id = a.id AND r.state = 'wanted'))`,
      values: [orders],
    });
    expect(rows).toEqual([]);
  }, 60_000);
  const told = await rig.sandbox.testimony();
  const wrong: string[] = [];
  for (const order of orders) {
    const state = await rig.state(order);
    const money = told.orders.get(order);
    if (money?.payments !== 1 || money.captures > 1 || money.open > 0)
      wrong.push(`${order} ${JSON.stringify(money)}`);
    const due = state === 'confirmed' ? 1000 - (life.given_back ?? 0) : 0;
    const net = (money?.captured ?? 0) - (money?.refunded ?? 0);
    if (net !== due) wrong.push(`${order} ${state}: ${net} and not ${due}`);
    const attempts = await rig.attempts(order);
    if (state === 'confirmed' && attempts[0].state !== 'captured')
      wrong.push(`${order} ${attempts[0].state}`);
  }
  return wrong;
}
