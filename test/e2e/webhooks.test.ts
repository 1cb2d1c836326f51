/** What a merchant hears of a whole stack while its parts are killed: everything, in order for each order, signed. */
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inParallel } from '../../bench/stampede/api.ts';
import { type Receiver, startReceiver } from '../../platform/outgoing/testing/receiver.ts';
import { eventually } from './support/books.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const folder = dataFolder();
let stack: RunningStack;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  stack = await startStack(folder.path);
  const items = [{ sku: 'a', name: 'Aurora headphones', unit_price: 12_900, qty: 1_000 }];
  const sale = { id: 'night', currency: 'USD', limit_per_buyer: 0, items };
  const made = await stack.api.call('POST', '/v1/admin/sales', { token: stack.admin, body: sale });
  expect(made.status).toBe(201);
});
afterAll(async () => {
  await stack.stop();
  await receiver.close();
  folder.remove();
});

async function buy(buyer: number): Promise<void> {
  const tokens = ['pm_ok', 'pm_ok', 'pm_ok', 'pm_declined', 'pm_error_once'];
  const body = {
    sale_id: 'night',
    items: [{ sku: 'a', qty: 1 }],
    payment_method: { type: 'card', token: tokens[buyer % tokens.length] },
    shipping_address: { name: 'Zoë', line1: '1 Quay', city: 'London', postal_code: 'E1', country: 'GB' },
  };
  const token = stack.api.token(`buyer-${buyer}`, 'buyer');
  const key = `webhook-buyer-${buyer}-key`;
  const answer = await stack.api.call('POST', '/v1/checkout', { token, key, body });
  expect(answer.status).toBe(201);
}

test('every event arrives at least once and in order, though reconciler and ledger are killed in between', async () => {
  const url = `http://127.0.0.1:${receiver.port}/stampede`;
  const asked = { token: stack.admin, body: { url } };
  const endpoint = await stack.api.call('POST', '/v1/merchant/webhooks', asked);
  expect(endpoint.status).toBe(201);
  // One in ten is not taken at first; one in ten is taken, and the answer never comes.
  let requests = 0;
  receiver.answer((_request, response) => {
    requests += 1;
    if (requests % 10 === 3) return 500;
    if (requests % 10 === 7) {
      response.socket?.destroy();
      return undefined;
    }
    return 204;
  });

  const buyers = Array.from({ length: 100 }, (_, i) => i);
  for (const [part, from] of [
    ['reconciler', 0],
    ['Postgres', 25],
    ['reconciler', 50],
    ['reconciler', 75],
  ] as const) {
    const pid = stack.pidOf(part);
    await inParallel(buyers.slice(from, from + 25), 5, buy);
    stack.kill(part);
    await eventually(
      `${part} is back`,
      60_000,
      async () => pidOrZero(part),
      (now) => now !== 0 && now !== pid,
    );
  }

  await eventually(
    'all orders are over',
    90_000,
    () =>
      stack.sql<{ n: string }>(
        `SELECT count(*) AS n FROM orders WHERE state IN ('confirmed', 'payment_failed')`,
      ),
    ([row]) => Number(row!.n) === buyers.length,
  );
  const events = await eventually(
    'everything is delivered',
    90_000,
    async () => {
      // Retries that the schedule puts off for minutes come now.
      await stack.sql(
        `UPDATE webhook_deliveries SET next_try_at = now() WHERE state = 'waiting' AND NOT sending AND tries > 0`,
      );
      return stack.sql<{ id: string; order_id: string; delivered: boolean }>(`
        SELECT e.id, e.order_id, coalesce(d.state = 'delivered', false) AS delivered
        FROM order_events e LEFT JOIN webhook_deliveries d ON d.event_id = e.id ORDER BY e.id`);
    },
    (rows) => rows.length >= 300 && rows.every((row) => row.delivered),
  );

  const webhook = new Webhook(String(endpoint.body.secret));
  const seen = new Map<string, string[]>();
  for (const { headers, body } of receiver.received) {
    const event = webhook.verify(body, headers as Record<string, string>) as { data: { order_id: string } };
    const { order_id } = event.data;
    seen.set(order_id, [...(seen.get(order_id) ?? []), String(headers['webhook-id'])]);
  }
  const written = new Map<string, string[]>();
  for (const { id, order_id } of events)
    written.set(order_id, [...(written.get(order_id) ?? []), `evt_${id}`]);
  for (const [order_id, names] of written) {
    // Taken for the first time in the order in which it happened.
    const first_seen = [...new Set(seen.get(order_id))].filter((name) => names.includes(name));
    expect([order_id, first_seen]).toEqual([order_id, names]);
  }
  expect(written.size).toBe(buyers.length);
});

function pidOrZero(part: 'reconciler' | 'Postgres'): number {
  try {
    return stack.pidOf(part);
  } catch {
    return 0;
  }
}
