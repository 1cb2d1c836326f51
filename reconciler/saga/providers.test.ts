/**
 * One order through each provider's real adapter and the saga, from checkout to the last refund, against the sandbox in
 * that provider's wire format; and what its buyer approves, cancels, or lets go.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beat } from '../../ledger/heartbeat.ts';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { refundOrder } from '../../ledger/orders/refund-order.ts';
import { createSale } from '../../ledger/sales/create-sale.ts';
import { enqueueAttempts, enqueueAuthorize, enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import { installJobs } from '../../payments/jobs/install.ts';
import { createProviders, type Providers } from '../../payments/providers.ts';
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { startTestSandbox, TEST_SECRET, type TestSandbox } from '../../payments/sandbox/testing/start.ts';
import { createLog } from '../../platform/log.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import { sandboxKeys } from '../../platform/sandbox-keys.ts';
import { ledgerOrders, setHeartbeat, type TestSale, testLedger } from '../../test/support/ledger.ts';
import { type Saga, startSaga } from './saga.ts';
import { eventually } from './testing/rig.ts';

const AMOUNT = 100_000;
const PART = 30_000;
const ROWS = [
  { psp: 'midtrans', currency: 'IDR', wallet: 'gopay', voids: true },
  { psp: 'razorpay', currency: 'INR', wallet: 'payzapp', voids: false },
  { psp: 'paypal', currency: 'USD', wallet: 'paypal', voids: true },
] as const;

let sandbox: TestSandbox;
let post: Server;
let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let providers: Providers;
let saga: Saga;
let heart: NodeJS.Timeout;

beforeAll(async () => {
  post = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const receipt = await receiveWebhook(db, providers, {
      provider: request.url?.slice(1) ?? '',
      headers: request.headers as Record<string, string>,
      raw: Buffer.concat(chunks),
      now_ms: Date.now(),
    }).catch(() => ({ kind: 'away' }));
    response.writeHead(receipt.kind === 'stored' || receipt.kind === 'known' ? 200 : 503).end();
  });
  post.listen(0, '127.0.0.1');
  await once(post, 'listening');
  const { port } = post.address() as AddressInfo;
  sandbox = await startTestSandbox({ webhook_url: `http://127.0.0.1:${port}/sandbox` });
  ledger = await testLedger();
  db = ledger.db;
  await setHeartbeat(db);
  heart = setInterval(() => void beat(db, { period_ms: 2_000, grace_ms: 0 }).catch(() => {}), 1_000);
  await installJobs(db);
  const keys = sandboxKeys(TEST_SECRET);
  providers = createProviders(
    {
      ...{ psp: 'sandbox', psp_sandbox_url: sandbox.url, psp_sandbox_secret: TEST_SECRET },
      midtrans: { url: `${sandbox.url}/midtrans`, ...keys.midtrans },
      razorpay: { url: `${sandbox.url}/razorpay`, ...keys.razorpay },
      paypal: { url: `${sandbox.url}/paypal`, ...keys.paypal },
    },
    { timeout_ms: 2_000 },
  );
  saga = await startSaga({
    pool: db,
    database_url: ledger.url,
    providers,
    registry: new Registry(),
    log: createLog({ level: 'silent', service: 'test' }),
    timings: { poll_ms: 200, sweep_ms: 100, unbegun_ms: 600_000, maintenance_s: 1 },
    patience: { same_key_ms: 2_000, quiet_ms: 500 },
  });
});

afterAll(async () => {
  clearInterval(heart);
  await saga.stop();
  providers.close();
  await ledger.close();
  await sandbox.stop();
  post.close();
  post.closeAllConnections();
});

beforeEach(async () => {
  await sandbox.admin('faults', { faults: [] });
  await sandbox.admin('settings', { events: 'all', late_ms: 50, slow_ms: 100, upi_ms: 50 });
});

describe.each(ROWS)('$psp', ({ psp, currency, wallet, voids }) => {
  let sale: TestSale;
  beforeAll(async () => {
    const id = `s-${randomUUID()}`;
    const items = [{ sku: 'a', qty: 1_000, name: 'A', unit_price: AMOUNT }];
    const made = await createSale(db, {
      ...{ tenant: 'default', id, currency, hold_ms: 600_000, limit_per_buyer: 0, items, psp },
      body: { id },
    });
    if (made.kind !== 'created') throw new Error(made.kind);
    sale = { sale_no: made.sale_no, tenant: 'default', id, currency };
  });

  async function checkout(
    type: string,
    token: string,
    buyer = `buyer-${randomUUID()}`,
    contact: { email: string; phone?: string } = { email: 'buyer@example.com', phone: '+919090909090' },
  ): Promise<string> {
    const [order] = await ledgerOrders(db, sale, [{ contact, buyer, limit_units: 0 }]);
    await db.query({
      text: `UPDATE orders SET payment_method = jsonb_build_object('type', $2::text, 'token', $3::text),
               subtotal = $4, total = $4 WHERE id = $1`,
      values: [order, type, token, AMOUNT],
    });
    await withTransaction(db, (tx) => enqueueAuthorize(tx, [order]));
    return order;
  }

  const row = async <T>(text: string, order: string): Promise<T> =>
    (await db.query<T & object>({ text, values: [order] })).rows[0];
  const stateOf = async (order: string) =>
    (await row<{ state: string }>('SELECT state FROM orders WHERE id = $1', order)).state;
  const attemptOf = (order: string) =>
    row<{
      id: string;
      psp: string;
      state: string;
      refunded: number;
      next_action: { type: string; url: string } | null;
    }>(
      'SELECT id, psp, state, refunded, next_action FROM attempts WHERE order_id = $1 ORDER BY no DESC LIMIT 1',
      order,
    );
  const witness = async (order: string) => (await sandbox.testimony()).orders.get(order);

  async function captured(order: string): Promise<void> {
    await eventually(async () => {
      expect(await attemptOf(order)).toMatchObject({ psp, state: 'captured' });
      expect(await stateOf(order)).toBe('confirmed');
    });
  }

  const giveBack = (order_id: string, amount?: number) =>
    refundOrder(
      db,
      {
        ...{
          tenant: 'default',
          order_id,
          key: randomUUID(),
          actor: 'admin:test',
          reason: null,
          restock: false,
        },
        ...{ fingerprint: Buffer.from(randomUUID()), amount },
      } as Parameters<typeof refundOrder>[1],
      {
        reverse: (tx, ids) => enqueueAttempts(tx, 'saga-reverse', ids),
        refund: (tx, refund) => enqueueRefunds(tx, [refund.id]),
      },
    );

  test('checkout, confirmed, captured, a part given back, then the rest', async () => {
    const order = await checkout('card', 'pm_ok');
    await captured(order);
    expect(await witness(order)).toMatchObject({ payments: 1, captured: AMOUNT, refunded: 0, open: 0 });
    expect(await giveBack(order, PART)).toMatchObject({ kind: expect.not.stringMatching(/too_much|not_/) });
    await eventually(async () => expect((await attemptOf(order)).refunded).toBe(PART));
    expect(await witness(order)).toMatchObject({ captured: AMOUNT, refunded: PART });
    await giveBack(order);
    await eventually(async () => {
      expect(await attemptOf(order)).toMatchObject({ state: 'refunded', refunded: AMOUNT });
      expect(await stateOf(order)).toBe('refunded');
    });
    expect(await witness(order)).toMatchObject({ payments: 1, captured: AMOUNT, refunded: AMOUNT, open: 0 });
  });

  test('a declined card fails the order, and nothing is held', async () => {
    const order = await checkout('card', 'pm_insufficient_funds');
    await eventually(async () => expect(await stateOf(order)).toBe('payment_failed'));
    expect(await attemptOf(order)).toMatchObject({ state: 'declined' });
    expect(await witness(order)).toMatchObject({ captured: 0, open: 0 });
  });

  test('canceled after it was captured: everything goes back', async () => {
    const buyer = `buyer-${randomUUID()}`;
    const order = await checkout('card', 'pm_ok', buyer);
    await captured(order);
    expect(await cancelOrder(db, { tenant: 'default', order_id: order, buyer })).toEqual({
      kind: 'canceled',
    });
    await eventually(async () => expect((await attemptOf(order)).state).toBe('refunded'));
    expect(await witness(order)).toMatchObject({ captured: AMOUNT, refunded: AMOUNT, open: 0 });
  });

  test('canceled while only held: voided, or watched until the provider releases it', async () => {
    const buyer = `buyer-${randomUUID()}`;
    await sandbox.admin('faults', { faults: [{ on: 'capture', kind: 'unavailable' }] });
    const order = await checkout('card', 'pm_ok', buyer);
    await eventually(async () => expect(await stateOf(order)).toBe('confirmed'));
    expect(await cancelOrder(db, { tenant: 'default', order_id: order, buyer })).toEqual({
      kind: 'canceled',
    });
    if (!voids) {
      const { psp_ref } = await row<{ psp_ref: string }>(
        'SELECT psp_ref FROM attempts WHERE order_id = $1',
        order,
      );
      expect((await attemptOf(order)).state).toBe('authorized');
      expect(await witness(order)).toMatchObject({ captured: 0 });
      const { key_id, key_secret } = sandboxKeys(TEST_SECRET).razorpay;
      const released = await fetch(`${sandbox.url}/razorpay/sandbox/release`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${key_id}:${key_secret}`).toString('base64')}` },
        body: JSON.stringify({ order_id: psp_ref }),
      });
      expect(released.status).toBe(200);
    }
    await eventually(async () => expect((await attemptOf(order)).state).toBe('voided'));
    expect(await witness(order)).toMatchObject({ captured: 0, open: 0 });
  });

  test('a wallet: its buyer is led to a page, approves, and is charged once', async () => {
    const order = await checkout('wallet', wallet);
    await eventually(async () => expect((await attemptOf(order)).next_action?.type).toBe('redirect'));
    const url = (await attemptOf(order)).next_action?.url ?? '';
    const answer = await fetch(url.replace('//localhost:', '//127.0.0.1:'), {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'decision=approve',
    });
    expect(answer.status).toBeLessThan(400);
    await captured(order);
    expect(await witness(order)).toMatchObject({ payments: 1, captures: 1, captured: AMOUNT, open: 0 });
  });

  test('an approval that never comes holds nothing once the order is canceled', async () => {
    const buyer = `buyer-${randomUUID()}`;
    const order = await checkout('wallet', wallet, buyer);
    await eventually(async () => expect((await attemptOf(order)).next_action?.type).toBe('redirect'));
    expect(await cancelOrder(db, { tenant: 'default', order_id: order, buyer })).toEqual({
      kind: 'canceled',
    });
    const over = psp === 'razorpay' ? ['pending', 'unknown'] : ['voided', 'declined'];
    await eventually(async () => expect(over).toContain((await attemptOf(order)).state));
    expect(await witness(order)).toMatchObject({ captured: 0 });
  });

  test('under faults of every kind each order is paid once or not at all', { timeout: 180_000 }, async () => {
    await sandbox.admin('faults', {
      faults: [
        ...[
          'error_before',
          'error_after',
          'no_answer',
          'unavailable',
          'delay',
          'sticky_before',
          'sticky_after',
        ].map((kind) => ({ on: '*', kind, rate: 0.03, delay_ms: 50 })),
        { on: 'webhook', kind: 'lose', rate: 0.3 },
        { on: 'webhook', kind: 'double', rate: 0.3 },
      ],
      seed: 7,
    });
    const tokens = ['pm_ok', 'pm_ok', 'pm_declined', 'pm_error_once', 'pm_timeout', 'pm_slow'];
    const orders: string[] = [];
    for (let i = 0; i < 36; i++) orders.push(await checkout('card', tokens[i % tokens.length]));
    const left = async () => {
      const { rows } = await db.query<{ ends: string }>({
        text: `SELECT o.state || ' ' || a.state AS ends FROM orders o LEFT JOIN attempts a ON a.order_id = o.id
               WHERE o.id = ANY ($1)`,
        values: [orders],
      });
      const ends = ['confirmed captured', 'payment_failed declined'];
      return rows.filter((row) => !ends.includes(row.ends)).map((row) => row.ends);
    };
    await eventually(async () => expect((await left()).length).toBeLessThan(orders.length / 3), 90_000);
    // The weather clears, and who was to come back in a minute or two comes now.
    await sandbox.admin('faults', { faults: [] });
    await eventually(async () => {
      await db.query({
        text: 'UPDATE attempts SET next_look_at = now() WHERE order_id = ANY ($1)',
        values: [orders],
      });
      expect(await left()).toEqual([]);
    }, 60_000);
    const testimony = await sandbox.testimony();
    expect(testimony.charged_twice).toEqual([]);
    for (const order of orders) {
      const paid = (await stateOf(order)) === 'confirmed';
      expect(testimony.orders.get(order)).toMatchObject({
        ...{ captured: paid ? AMOUNT : 0, refunded: 0, unreversed_captures: paid ? 1 : 0, open: 0 },
      });
    }
  });

  if (psp === 'razorpay') {
    test('UPI: a link for the app, and captured once it approved there', async () => {
      await sandbox.admin('settings', { upi_ms: 500 });
      const order = await checkout('upi', 'intent');
      await eventually(async () =>
        expect((await attemptOf(order)).next_action).toMatchObject({
          type: 'upi',
          url: expect.stringContaining('upi://pay?'),
        }),
      );
      await captured(order);
      expect(await witness(order)).toMatchObject({ payments: 1, captured: AMOUNT, open: 0 });
    });

    test('without a phone number it is declined, and nobody was asked', async () => {
      const order = await checkout('upi', 'intent', undefined, { email: 'buyer@example.com' });
      await eventually(async () => expect(await stateOf(order)).toBe('payment_failed'));
      expect(await witness(order)).toBeUndefined();
    });
  }
});
