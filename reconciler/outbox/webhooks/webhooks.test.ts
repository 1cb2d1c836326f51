/** Merchants' webhooks from the ledger to a real https server, read with the verifier that merchants use. */
import { type ChildProcess, fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { authorizeOrders } from '../../../ledger/orders/authorize-orders.ts';
import { confirmOrders } from '../../../ledger/orders/confirm-orders.ts';
import { addTest, changeEndpoint, deleteEndpoint, rotateSecret } from '../../../ledger/outbox/endpoints.ts';
import { askReplay } from '../../../ledger/outbox/replays.ts';
import type { Received } from '../../../platform/outgoing/testing/receiver.ts';
import { withTransaction } from '../../../platform/postgres.ts';
import { eventually, SIGNING_KEY, type WebhookRig, webhookRig } from '../testing/webhook-rig.ts';
import { RETRY_AFTER_MS, TRIES_MAX } from './schedule.ts';

let rig: WebhookRig;
beforeEach(async () => {
  rig = await webhookRig();
});
afterEach(() => rig.close());

const BY = { cause: 'test', actor: 'test' };
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MIDDLE = { random: () => 0.5 };

// biome-ignore lint/suspicious/noExplicitAny: payloads of every type
type Payload = { type: string; timestamp: string; data: any };
const verified = (one: Received, secret: string): Payload =>
  new Webhook(secret).verify(one.body, one.headers as Record<string, string>) as Payload;
const idsOf = (received: readonly Received[]) => received.map((one) => one.headers['webhook-id']);
const toEndpoint = (id: string) => rig.receiver.received.filter((one) => one.path === `/${id}`);

async function confirm(order_ids: readonly string[]): Promise<void> {
  await withTransaction(rig.db, (tx) => authorizeOrders(tx, order_ids, BY));
  await withTransaction(rig.db, (tx) => confirmOrders(tx, order_ids, BY));
}

async function eventsOf(order_id: string): Promise<{ id: number; name: string; type: string }[]> {
  const { rows } = await rig.db.query<{ id: number; type: string }>({
    text: `SELECT id, order_event_type(from_state, to_state, cause) AS type FROM order_events
           WHERE order_id = $1 ORDER BY id`,
    values: [order_id],
  });
  return rows.map((row) => ({ ...row, name: `evt_${row.id}` }));
}

describe('a webhook', () => {
  test('tells of each event, in order, signed so that the standard verifier takes it', async () => {
    const endpoint = await rig.endpoint();
    rig.start();
    const [order] = await rig.orders(1);
    await confirm([order]);
    await eventually(() => expect(rig.receiver.received).toHaveLength(3));
    const { received } = rig.receiver;
    const events = await eventsOf(order);
    expect(idsOf(received)).toEqual(events.map((event) => event.name));
    const payloads = received.map((one) => verified(one, rig.secret(endpoint)));
    expect(payloads.map((payload) => payload.type)).toEqual([
      'order.reserved',
      'order.authorized',
      'order.confirmed',
    ]);
    expect(payloads[2]).toEqual({
      type: 'order.confirmed',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      data: {
        order_id: order,
        sale_id: rig.sale.id,
        state: 'confirmed',
        previous_state: 'authorized',
        cause: 'test',
        items: [{ sku: 'a', qty: 1, unit_price: 1_000 }],
        amounts: { currency: 'USD', subtotal: 1_000, discount: 0, shipping: 0, tax: 0, total: 1_000 },
        detail: null,
      },
    });
    expect(received[0].headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringContaining('Stampede'),
    });
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => [one.state, one.tries, one.last_status])).toEqual(
        Array(3).fill(['delivered', 1, 204]),
      ),
    );
    expect(await rig.metric('stampede_webhook_deliveries_total{outcome="delivered"}')).toBe(3);
  });

  test('holds nothing of the buyer or the payment', async () => {
    await rig.endpoint();
    rig.start();
    const [order] = await rig.orders(1, { buyer: 'canary-buyer' });
    await rig.db.query({
      text: `UPDATE orders SET payment_method = '{"type":"card","token":"canary-token"}',
               shipping_address = '{"line1":"canary-street"}', contact = '{"email":"canary@mail.example"}' WHERE id = $1`,
      values: [order],
    });
    await confirm([order]);
    await eventually(() => expect(rig.receiver.received).toHaveLength(3));
    expect(JSON.stringify(rig.receiver.received)).not.toContain('canary');
  });

  test('is signed as the standard says, by a secret that is in no table', async () => {
    const endpoint = await rig.endpoint();
    rig.start();
    await rig.orders(1);
    await eventually(() => expect(rig.receiver.received).toHaveLength(1));
    const [one] = rig.receiver.received;
    const secret = rig.secret(endpoint);
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    expect(key).toHaveLength(32);
    const signed = `${one.headers['webhook-id']}.${one.headers['webhook-timestamp']}.${one.body}`;
    const mac = createHmac('sha256', key).update(signed).digest('base64');
    expect(one.headers['webhook-signature']).toBe(`v1,${mac}`);
    const forged = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    expect(() => verified(one, forged)).toThrow('No matching signature');
    expect(() => verified({ ...one, body: one.body.replace('1000', '1') }, secret)).toThrow('No matching');
    const { rows } = await rig.db.query('SELECT * FROM webhook_endpoints');
    expect(JSON.stringify(rows)).not.toContain(secret.slice(6));
  });

  test('is signed by both secrets for a while after a rotation', async () => {
    const endpoint = await rig.endpoint();
    await rotateSecret(rig.db, rig.sale.tenant, endpoint, DAY);
    rig.start();
    await rig.orders(1);
    await eventually(() => expect(rig.receiver.received).toHaveLength(1));
    const [one] = rig.receiver.received;
    verified(one, rig.secret(endpoint, 1));
    verified(one, rig.secret(endpoint, 2));
    await rig.passTime(DAY);
    await rig.orders(1);
    await eventually(() => expect(rig.receiver.received).toHaveLength(2));
    verified(rig.receiver.received[1], rig.secret(endpoint, 2));
    expect(() => verified(rig.receiver.received[1], rig.secret(endpoint, 1))).toThrow('No matching');
  });

  test('goes to endpoints of its tenant that want its type, and that are on', async () => {
    const all = await rig.endpoint();
    const some = await rig.endpoint({ types: ['order.confirmed'] });
    const foreign = await rig.endpoint({ tenant: 'somebody-else' });
    const off = await rig.endpoint();
    await changeEndpoint(rig.db, rig.sale.tenant, off, { enabled: false });
    rig.start();
    const [order] = await rig.orders(1);
    await confirm([order]);
    await eventually(() => expect(rig.receiver.received).toHaveLength(4));
    expect(toEndpoint(all)).toHaveLength(3);
    expect(toEndpoint(some).map((one) => JSON.parse(one.body).type)).toEqual(['order.confirmed']);
    expect([toEndpoint(foreign), toEndpoint(off)]).toEqual([[], []]);
    expect(await rig.deliveries(foreign)).toEqual([]);
  });

  test('can be a test', async () => {
    const endpoint = await rig.endpoint({ types: ['order.confirmed'] });
    rig.start();
    const id = await addTest(rig.db, rig.sale.tenant, endpoint, 'webhook.test');
    await eventually(() => expect(rig.receiver.received).toHaveLength(1));
    const [one] = rig.receiver.received;
    expect(one.headers['webhook-id']).toBe(`evt_test_${id}`);
    expect(verified(one, rig.secret(endpoint))).toMatchObject({
      type: 'webhook.test',
      data: { endpoint_id: endpoint },
    });
  });
});

describe('an endpoint that fails', () => {
  test('gets the same webhook again by the schedule, under the same id, until it is given up', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    rig.receiver.answer(500);
    rig.start({ sender: { ...MIDDLE, policy: { hold_after: 1_000 } } });
    await rig.orders(1);
    for (let tries = 1; tries <= TRIES_MAX; tries++) {
      await eventually(async () => {
        const [one] = await rig.deliveries(endpoint);
        expect([one.tries, one.sending, one.last_error]).toEqual([tries, false, 'it answered 500']);
      });
      const [one] = await rig.deliveries(endpoint);
      const planned_ms = RETRY_AFTER_MS[tries - 1];
      if (planned_ms === undefined) break;
      expect(one.state).toBe('waiting');
      expect(one.next_ms).toBeGreaterThan(planned_ms - 60_000);
      expect(one.next_ms).toBeLessThanOrEqual(planned_ms);
      await rig.passTime(planned_ms);
    }
    await eventually(async () => expect((await rig.deliveries(endpoint))[0].state).toBe('given_up'));
    expect(rig.receiver.received).toHaveLength(TRIES_MAX);
    expect(new Set(idsOf(rig.receiver.received)).size).toBe(1);
    for (const one of rig.receiver.received) verified(one, rig.secret(endpoint));
    expect(await rig.metric('stampede_webhook_deliveries_total{outcome="given_up"}')).toBe(1);
    expect(await rig.metric('stampede_webhook_deliveries_total{outcome="retried"}')).toBe(TRIES_MAX - 1);
  });

  test('gets the later events of an order after the earlier one, and those of other orders meanwhile', async () => {
    const endpoint = await rig.endpoint();
    const [stuck, fine] = await rig.orders(2);
    rig.receiver.answer(({ body }) => (JSON.parse(body).data.order_id === stuck ? 500 : 204));
    rig.start({ sender: MIDDLE });
    const of = (order: string) =>
      rig.receiver.received.filter((one) => JSON.parse(one.body).data.order_id === order);
    await eventually(() => expect(of(fine)).toHaveLength(1));
    await confirm([stuck, fine]);
    await eventually(() => expect(of(fine)).toHaveLength(3));
    // Tried and not taken; nothing behind it was tried.
    expect(new Set(idsOf(of(stuck))).size).toBe(1);
    rig.receiver.answer(204);
    await rig.passTime(RETRY_AFTER_MS[0]);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual(Array(6).fill('delivered')),
    );
    const first_seen = [...new Set(idsOf(of(stuck)))];
    expect(first_seen).toEqual((await eventsOf(stuck)).map((event) => event.name));
  });

  test('gets the later events when the earlier one is given up', async () => {
    const endpoint = await rig.endpoint();
    const [order] = await rig.orders(1);
    const [first, ...rest] = await (async () => {
      await confirm([order]);
      return eventsOf(order);
    })();
    await rig.db.query({
      text: `INSERT INTO webhook_deliveries (endpoint_id, event_id, order_id, type, tries)
             VALUES ($1, $2, $3, 'order.reserved', $4)`,
      values: [endpoint, first.id, order, TRIES_MAX - 1],
    });
    rig.receiver.answer(({ headers }) => (headers['webhook-id'] === first.name ? 500 : 204));
    rig.start();
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual([
        'given_up',
        'delivered',
        'delivered',
      ]),
    );
    expect(idsOf(rig.receiver.received)).toEqual([first.name, ...rest.map((event) => event.name)]);
  });

  test('may ask for patience, within bounds, for everything that is for it', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    rig.receiver.answer(() => ({ status: 429, headers: { 'retry-after': '600' } }));
    rig.start({ sender: { ...MIDDLE, limits: { at_once_per_endpoint: 1 } } });
    await rig.orders(3);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).filter((one) => one.last_status === 429)).toHaveLength(1),
    );
    const [tried] = (await rig.deliveries(endpoint)).filter((one) => one.tries > 0);
    expect(tried.next_ms).toBeGreaterThan(540_000);
    rig.receiver.answer(204);
    // The others wait with it.
    await rig.passTime(500_000);
    expect(rig.receiver.received).toHaveLength(1);
    await rig.passTime(100_000);
    await eventually(() => expect(rig.receiver.received).toHaveLength(4));
  });

  test('is asked by one try at a time after some failures, and gets everything once it works', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    rig.receiver.answer(500);
    rig.start({ sender: { ...MIDDLE, limits: { at_once_per_endpoint: 2 }, policy: { hold_after: 4 } } });
    await rig.orders(20);
    // The fourth failure holds it back; one more may have been under way.
    const held = async () => {
      const { rows } = await rig.db.query<{ failures: number; held: boolean }>({
        text: 'SELECT failures, held_until > now() AS held FROM webhook_endpoints WHERE id = $1',
        values: [endpoint],
      });
      return rows[0];
    };
    await eventually(async () => expect(await held()).toMatchObject({ held: true }));
    await eventually(async () => expect((await held()).failures).toBe(rig.receiver.received.length));
    const { length } = rig.receiver.received;
    expect(length).toBeLessThanOrEqual(5);
    await rig.passTime(60_000);
    await eventually(async () => expect(await held()).toMatchObject({ held: true, failures: length + 1 }));
    expect(rig.receiver.received).toHaveLength(length + 1);
    rig.receiver.answer(204);
    await rig.passTime(2 * HOUR);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual(Array(20).fill('delivered')),
    );
    expect((await held()).failures).toBe(0);
  });

  test('is disabled after failing for days, and what waits for it is given up', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    rig.receiver.answer(500);
    rig.start({ sender: { ...MIDDLE, policy: { hold_after: 1_000 } } });
    await rig.orders(1);
    const row = async () => {
      const { rows } = await rig.db.query<{
        enabled: boolean;
        disabled_reason: string | null;
        failures: number;
      }>({
        text: 'SELECT enabled, disabled_reason, failures FROM webhook_endpoints WHERE id = $1',
        values: [endpoint],
      });
      return rows[0];
    };
    await eventually(async () => expect(await row()).toMatchObject({ enabled: true, failures: 1 }));
    await rig.passTime(4 * DAY);
    await eventually(async () => expect(await row()).toMatchObject({ enabled: true, failures: 2 }));
    await rig.passTime(DAY + HOUR);
    await eventually(async () =>
      expect(await row()).toMatchObject({ enabled: false, disabled_reason: 'failing', failures: 3 }),
    );
    await eventually(async () => expect((await rig.deliveries(endpoint))[0].state).toBe('given_up'));
    expect(await rig.metric('stampede_webhook_endpoints_disabled_total{reason="failing"}')).toBe(1);
    await eventually(async () =>
      expect(await rig.metric('stampede_webhook_endpoints{state="disabled"}')).toBe(1),
    );
    await rig.orders(1);
    // Switched on again it begins without a past.
    rig.receiver.answer(204);
    await changeEndpoint(rig.db, rig.sale.tenant, endpoint, { enabled: true });
    expect(await row()).toMatchObject({ enabled: true, disabled_reason: null, failures: 0 });
    await rig.orders(1);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).at(-1)).toMatchObject({ state: 'delivered' }),
    );
  });

  test('is disabled at once by 410 Gone', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    rig.receiver.answer(410);
    rig.start({ sender: { limits: { at_once_per_endpoint: 1 } } });
    await rig.orders(3);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual(Array(3).fill('given_up')),
    );
    expect(rig.receiver.received).toHaveLength(1);
    expect(await rig.metric('stampede_webhook_endpoints_disabled_total{reason="gone"}')).toBe(1);
  });

  test('delays no other endpoint', async () => {
    const slow = await rig.endpoint();
    const fast = await rig.endpoint();
    rig.receiver.answer(({ path }) => (path === `/${slow}` ? undefined : 204));
    rig.start({ sender: { limits: { at_once: 10, at_once_per_endpoint: 3 } } });
    await rig.orders(50);
    await eventually(() => expect(toEndpoint(fast)).toHaveLength(50));
    // And no more than its share was ever asked of the slow one at once.
    expect(toEndpoint(slow).length).toBeLessThanOrEqual(3);
  });

  test('leads nowhere inside: the target is judged with every try', async () => {
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    const target = { local: false, resolve: async () => [{ address: '127.0.0.1', family: 4 }] };
    rig.start({ target });
    await rig.orders(1);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint))[0]).toMatchObject({
        ...{ state: 'waiting', tries: 1, last_status: null },
        last_error: 'an address of the host is not public (loopback)',
      }),
    );
    expect(rig.receiver.received).toEqual([]);
    expect(await rig.metric('stampede_webhook_targets_refused_total')).toBe(1);
  });
});

describe('a replay', () => {
  test('sends again what happened since, under the old ids, in order', async () => {
    rig.start();
    const [before] = await rig.orders(1);
    const endpoint = await rig.endpoint();
    const [order] = await rig.orders(1);
    await confirm([order]);
    const states = async () =>
      (await rig.deliveries(endpoint)).filter((one) => one.order_id === order).map((one) => one.state);
    await eventually(async () => expect(await states()).toEqual(Array(3).fill('delivered')));
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).every((one) => one.state === 'delivered')).toBe(true),
    );
    rig.receiver.received.length = 0;
    const since = new Date(Date.now() - HOUR);
    await askReplay(rig.db, rig.sale.tenant, endpoint, {
      since,
      types: ['order.reserved', 'order.confirmed'],
    });
    const [first, , third] = await eventsOf(order);
    const [old] = await eventsOf(before);
    // Also of what was before the endpoint.
    await eventually(() => expect(rig.receiver.received).toHaveLength(3));
    expect([...idsOf(rig.receiver.received)].sort()).toEqual([old.name, first.name, third.name].sort());
    const of_order = idsOf(rig.receiver.received).filter((id) => id !== old.name);
    expect(of_order).toEqual([first.name, third.name]);
  });

  test('keeps to its time and its tenant; what waits is tried now, and once', async () => {
    const endpoint = await rig.endpoint();
    const [old, recent] = await rig.orders(2);
    const since = new Date(Date.now() - HOUR);
    await rig.db.query({
      text: `UPDATE order_events SET at = at - interval '2 hours' WHERE order_id = $1`,
      values: [old],
    });
    rig.receiver.answer(500);
    rig.start({ sender: MIDDLE });
    await eventually(async () => {
      const deliveries = await rig.deliveries(endpoint);
      expect(deliveries.map((one) => one.tries)).toEqual([1, 1]);
      expect(deliveries.every((one) => one.last_status === 500)).toBe(true);
    });
    const request = { since, types: [] };
    expect(await askReplay(rig.db, 'somebody-else', endpoint, request)).toBeUndefined();
    await rig.db.query(`UPDATE webhook_deliveries SET next_try_at = now() + interval '1 hour'`);
    rig.receiver.answer(204);
    await askReplay(rig.db, rig.sale.tenant, endpoint, request);
    const of = async (order: string) =>
      (await rig.deliveries(endpoint)).find((one) => one.order_id === order);
    await eventually(async () => expect(await of(recent)).toMatchObject({ state: 'delivered', tries: 2 }));
    expect(await of(old)).toMatchObject({ state: 'waiting', tries: 1 });
    await rig.passTime(HOUR);
    await eventually(async () =>
      expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual(['delivered', 'delivered']),
    );
    rig.receiver.received.length = 0;
    await askReplay(rig.db, rig.sale.tenant, endpoint, request);
    const [event] = await eventsOf(recent);
    await eventually(() => expect(idsOf(rig.receiver.received)).toEqual([event.name]));
  });

  test('is worked off in steps, however much there is', async () => {
    rig.start();
    for (let i = 0; i < 5; i++) await rig.orders(1_000);
    const endpoint = await rig.endpoint({ types: ['order.reserved'] });
    await eventually(async () => {
      const { rows } = await rig.db.query<{ behind: boolean }>(
        `SELECT position < (SELECT max(id) FROM order_events) AS behind FROM outbox_cursors WHERE sink = 'webhooks'`,
      );
      expect(rows[0].behind).toBe(false);
    });
    // Nobody listens: what is queued can be counted.
    await rig.db.query({
      text: `UPDATE webhook_endpoints SET held_until = now() + interval '1 hour' WHERE id = $1`,
      values: [endpoint],
    });
    await askReplay(rig.db, rig.sale.tenant, endpoint, { since: new Date(Date.now() - HOUR), types: [] });
    await eventually(async () => expect(await rig.deliveries(endpoint)).toHaveLength(5_000));
  });
});

describe('processes', () => {
  test('several at once deliver each webhook once', async () => {
    const endpoint = await rig.endpoint();
    // What is under way when one ends is ended by it.
    const stop = rig.start({ timings: { patience_ms: 20_000 } });
    rig.start();
    rig.start();
    await confirm(await rig.orders(30));
    await eventually(() => expect(rig.receiver.received.length).toBeGreaterThan(20));
    await stop();
    await confirm(await rig.orders(10));
    await eventually(async () => {
      const deliveries = await rig.deliveries(endpoint);
      expect(deliveries).toHaveLength(120);
      expect(deliveries.every((one) => one.state === 'delivered')).toBe(true);
    });
    expect(idsOf(rig.receiver.received)).toHaveLength(120);
    expect(new Set(idsOf(rig.receiver.received)).size).toBe(120);
  });

  test('one that is killed in the middle of a request is followed by another, with the same ids', async () => {
    const endpoint = await rig.endpoint();
    // It has read the request, and never answers.
    rig.receiver.answer(() => undefined);
    const worker = await startWorker();
    const orders = await rig.orders(2);
    await eventually(() => expect(rig.receiver.received).toHaveLength(2));
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await confirm(orders);
    rig.receiver.answer(204);
    const next = await startWorker();
    await eventually(async () => {
      const deliveries = await rig.deliveries(endpoint);
      expect(deliveries.map((one) => one.state)).toEqual(Array(6).fill('delivered'));
    });
    const seen = idsOf(rig.receiver.received);
    expect(new Set(seen).size).toBe(6);
    for (const order of orders) {
      const names = (await eventsOf(order)).map((event) => event.name);
      expect([...new Set(seen)].filter((id) => names.includes(String(id)))).toEqual(names);
      // Once to each worker at least: the lease is short here, and a busy machine may outlast it.
      expect(seen.filter((id) => id === names[0]).length).toBeGreaterThanOrEqual(2);
    }
    next.kill('SIGKILL');
    await once(next, 'exit');
  });

  async function startWorker(): Promise<ChildProcess> {
    const options = { database_url: rig.url, signing_key: SIGNING_KEY, ca: rig.ca, lease_ms: 300 };
    const worker = fork(new URL('../testing/webhook-worker.ts', import.meta.url), [JSON.stringify(options)], {
      execArgv: ['--import', 'tsx'],
      stdio: 'inherit',
    });
    await once(worker, 'message');
    return worker;
  }

  test('forget what is old, and what belongs to an endpoint that is gone', async () => {
    const kept = await rig.endpoint();
    const gone = await rig.endpoint();
    rig.start({ keep_days: 7 });
    await rig.orders(3);
    await eventually(async () => {
      for (const endpoint of [kept, gone])
        expect((await rig.deliveries(endpoint)).map((one) => one.state)).toEqual(Array(3).fill('delivered'));
    });
    await rig.passTime(6 * DAY);
    await deleteEndpoint(rig.db, rig.sale.tenant, gone);
    await eventually(async () => expect(await rig.deliveries(gone)).toEqual([]));
    expect(await rig.deliveries(kept)).toHaveLength(3);
    await rig.passTime(DAY + HOUR);
    await eventually(async () => expect(await rig.deliveries(kept)).toEqual([]));
    expect(await rig.metric('stampede_webhook_oldest_undelivered_seconds')).toBe(0);
  });
});
