import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NICE_MAX } from '../../platform/give-way.ts';
import { freePort } from '../../platform/local/ports.ts';
import { startOwnRedis } from '../support/redis.ts';
import { eventually } from './support/books.ts';
import {
  dataFolder,
  type Part,
  processesOf,
  type RunningStack,
  refusedStart,
  startStack,
} from './support/stack.ts';

const PARTS: readonly Part[] = ['Redis', 'Postgres', 'sandbox', 'mailbox', 'reconciler', 'engine'];

describe('a local stack', () => {
  const folder = dataFolder();
  let stack: RunningStack;

  beforeAll(async () => {
    stack = await startStack(folder.path, { RECONCILER_NICE: '7' });
  });

  afterAll(async () => {
    await stack.stop();
    folder.remove();
  });

  test.runIf(process.platform === 'linux')(
    'the reconciler gives way, its sessions for payments all the more, ingest and the engine do not',
    async () => {
      const nicesOf = async (...names: string[]) => {
        const sessions = await stack.sql<{ pid: number }>(
          'SELECT pid FROM pg_stat_activity WHERE application_name = ANY($1)',
          [names],
        );
        return sessions.map(({ pid }) => getPriority(pid));
      };
      expect(getPriority(stack.pidOf('reconciler'))).toBe(7);
      await eventually(
        'sessions for payments that give way',
        20_000,
        () => nicesOf('stampede-saga'),
        (nices) => nices.length > 0 && nices.every((nice) => nice === NICE_MAX),
      );
      expect(getPriority(stack.pidOf('engine'))).toBe(getPriority());
      const others = await nicesOf('stampede-reconciler', 'stampede-engine');
      expect(others.length).toBeGreaterThan(1);
      expect(others.every((nice) => nice === getPriority())).toBe(true);
    },
  );

  test('shows where everything is, and a curl line that buys something when pasted', async () => {
    expect(stack.output()).toMatch(/Store +http:\/\/localhost:\d+\//);
    expect(stack.output()).toMatch(/API docs +http:\/\/localhost:\d+\/docs/);
    expect(stack.output()).toMatch(/JWT secret +\S{43}/);
    const [, path, token, body] = stack
      .output()
      .match(/curl -sS http:\/\/localhost:\d+(\S+) [\s\S]*Bearer (\S+)'[\s\S]*-d '(.*)'/)!;
    const answer = await stack.api.call('POST', path!, {
      token: token!,
      key: 'demo-purchase-0001',
      body: JSON.parse(body!),
    });
    expect(answer.status).toBe(201);
    await eventually(
      'the demo order',
      20_000,
      () => stack.api.call('GET', `/v1/orders/${answer.body.order_id}`, { token: token! }),
      ({ body }) => body.state === 'confirmed',
    );
    const [, mail] = stack.output().match(/Mail +(http:\/\/localhost:\d+)/)!;
    const found = await eventually(
      'its mail',
      20_000,
      async () => (await (await fetch(`${mail}/mails.json`)).json()) as { mails: Record<string, unknown>[] },
      ({ mails }) => mails.length > 0,
    );
    expect(found.mails).toMatchObject([
      {
        subject: 'Your order is confirmed: Aurora wireless headphones',
        to: 'demo-buyer@example.com',
        attachments: 1,
      },
    ]);
  });

  test('plays every provider: a sale paid at Stripe, with 3-D Secure, through the SDK and signed webhooks', async () => {
    const id = 'paid-at-stripe';
    const sale = {
      ...{ id, currency: 'EUR', psp: 'stripe', limit_per_buyer: 0 },
      items: [{ sku: 'a', name: 'A', unit_price: 2_500, qty: 5 }],
    };
    const made = await stack.api.call('POST', '/v1/admin/sales', { token: stack.admin, body: sale });
    expect(made.status).toBe(201);
    const [, token, demo] = stack.output().match(/Bearer (\S+)'[\s\S]*-d '(.*)'/)!;
    const body = {
      ...JSON.parse(demo!),
      ...{ sale_id: id, items: [{ sku: 'a', qty: 1 }] },
      payment_method: { type: 'card', token: 'pm_3ds' },
    };
    const key = 'paid-at-stripe-0001';
    const { order_id } = (await stack.api.call('POST', '/v1/checkout', { token: token!, key, body })).body;
    const paying = async () => {
      const { body: order } = await stack.api.call('GET', `/v1/orders/${order_id}`, { token: token! });
      const [payment] = (order.payments ?? []) as { state: string; next_action?: { url?: string } | null }[];
      return { state: payment?.state, url: payment?.next_action?.url };
    };
    const { url } = await eventually('the page of the bank', 20_000, paying, ({ url }) => url !== undefined);
    const decided = await fetch(url!, {
      method: 'POST',
      body: new URLSearchParams({ decision: 'approve' }),
      redirect: 'manual',
    });
    const back = `http://localhost:${new URL(stack.url).port}/?order=${order_id}`;
    expect(decided.headers.get('location')).toBe(back);
    await eventually('its money', 20_000, paying, ({ state }) => state === 'captured');
    await eventually(
      "Stripe's webhook",
      20_000,
      () =>
        stack.sql<{ type: string }>(
          "SELECT body ->> 'type' AS type FROM psp_events WHERE provider = 'stripe'",
        ),
      (events) => events.some(({ type }) => type === 'payment_intent.amount_capturable_updated'),
    );
  });

  test('keeps its secrets to its owner', () => {
    for (const name of ['state.json', 'postgres/password', 'processes.json']) {
      expect([name, statSync(join(folder.path, name)).mode & 0o077]).toEqual([name, 0]);
    }
  });

  test('listens on loopback only', () => {
    const listening = readFileSync('/proc/net/tcp', 'utf8');
    const ports = [
      Number(new URL(stack.url).port),
      ...Object.values(readState().ports as Record<string, number>),
    ];
    for (const port of ports) {
      const hex = port.toString(16).toUpperCase().padStart(4, '0');
      const addresses = [...listening.matchAll(new RegExp(`: ([0-9A-F]{8}):${hex} 00000000:0000 0A`, 'g'))];
      expect([port, addresses.map(([, address]) => address)]).toEqual([port, ['0100007F']]);
    }
  });

  test('a second start on the same folder says so in one line and ends', async () => {
    const second = await refusedStart(folder.path, { PORT: String(await freePort()) });
    expect(second.code).toBe(1);
    expect(second.output.trim()).toBe(
      `Stampede already runs on ${folder.path} (process ${stack.pid}, ${localUrl()})`,
    );
  });

  test.each(PARTS)('%s is started again after kill -9, and the store sells on', async (part) => {
    const before = stack.pidOf(part);
    process.kill(before, 'SIGKILL');
    await eventually(
      'the line',
      15_000,
      () => stack.output(),
      (text) => text.includes(`${part} runs again`),
    );
    expect(stack.pidOf(part)).not.toBe(before);
    expect((await buy(stack, `after-${part}`)).status).toBe(201);
  });

  function readState() {
    return JSON.parse(readFileSync(join(folder.path, 'state.json'), 'utf8'));
  }

  function localUrl(): string {
    return stack.url.replace('127.0.0.1', 'localhost');
  }
});

describe('ending and starting again', () => {
  const folder = dataFolder();
  afterAll(() => folder.remove());

  test('SIGTERM ends everything within 10 s with exit code 0, and the next start is quick and has the data', async () => {
    const first = await startStack(folder.path);
    const order = await buy(first, 'kept');
    expect(order.status).toBe(201);
    const ended_ms = Date.now();
    expect(await first.stop()).toBe(0);
    expect(Date.now() - ended_ms).toBeLessThan(10_000);
    expect(processesOf(folder.path)).toEqual([]);

    const began_ms = Date.now();
    const second = await startStack(folder.path);
    expect(Date.now() - began_ms).toBeLessThan(10_000);
    expect(second.output()).not.toMatch(/JWT secret/);
    const token = second.api.token('kept', 'buyer');
    const found = await second.api.call('GET', `/v1/orders/${order.body.order_id}`, { token });
    expect(found.status).toBe(200);
    expect(await second.stop()).toBe(0);
    expect(readdirSync(join(folder.path, 'logs'))).toContain('engine.1.log');
  });

  test('after kill -9 of the supervisor alone the next start ends the leftovers and carries on', async () => {
    const first = await startStack(folder.path);
    const order = await buy(first, 'orphan');
    expect(order.status).toBe(201);
    process.kill(first.pid, 'SIGKILL');
    await once(first.child, 'exit');
    const orphans = [first.pidOf('Redis'), first.pidOf('Postgres')];
    const second = await startStack(folder.path);
    expect(second.output()).toMatch(/Ended what a killed start left behind: .*Redis/);
    expect(processesOf(folder.path).some((line) => orphans.includes(Number.parseInt(line, 10)))).toBe(false);
    const token = second.api.token('orphan', 'buyer');
    expect((await second.api.call('GET', `/v1/orders/${order.body.order_id}`, { token })).status).toBe(200);
    expect(await second.stop()).toBe(0);
    expect(processesOf(folder.path)).toEqual([]);
  });

  test('SIGTERM while it starts ends what is there already', async () => {
    const starting = startStack(folder.path).catch((error: Error) => error.message);
    await eventually(
      'a process',
      20_000,
      () => processesOf(folder.path),
      (lines) => lines.some((line) => line.includes('redis-server')),
    );
    const supervisor = processesOf(folder.path).find((line) => line.includes('platform/local/main.js'))!;
    process.kill(Number.parseInt(supervisor, 10), 'SIGTERM');
    expect(await starting).toMatch(/Ended; nothing runs any more/);
    expect(processesOf(folder.path)).toEqual([]);
  });
});

describe('a start that is refused', () => {
  const folder = dataFolder();
  afterAll(() => folder.remove());

  test('names the port that is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, output } = await refusedStart(folder.path, { PORT: String(port) });
    other.close();
    expect(code).toBe(1);
    expect(output.trim()).toBe(
      `PORT ${port} is in use on 127.0.0.1. Choose another, such as PORT=${port + 1} npm start`,
    );
  });

  test.each([
    ['PORT', '70000', /^PORT must be a port/],
    ['REDIS_URL', 'http://127.0.0.1', /^REDIS_URL must be a URL/],
    ['LOG_LEVEL', 'loud', /^LOG_LEVEL must be/],
  ])('names %s in one line', async (name, value, line) => {
    const { code, output } = await refusedStart(folder.path, { [name]: value });
    expect(code).toBe(1);
    expect(output.trim()).toMatch(line);
    expect(output.trim().split('\n')).toHaveLength(1);
  });

  test('tells what is wrong with a Redis that may evict, and leaves nothing behind', async () => {
    const redis = await startOwnRedis({ 'maxmemory-policy': 'allkeys-lru' });
    const { code, output } = await refusedStart(folder.path, {
      REDIS_URL: redis.url,
      PORT: String(await freePort()),
    });
    await redis.stop();
    expect(code).toBe(1);
    expect(output).toMatch(/set maxmemory-policy to noeviction \(it is allkeys-lru\)/);
    expect(processesOf(folder.path)).toEqual([]);
  });
});

/** As a sane client does it: a 5xx is safe to send again (a sale is verified after a restart of Redis). */
function buy(stack: RunningStack, buyer: string) {
  const body = {
    sale_id: 'demo',
    items: [{ sku: 'espresso-kit', qty: 1 }],
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      name: 'E2E',
      line1: '1 Main St',
      city: 'Springfield',
      postal_code: '12345',
      country: 'US',
    },
  };
  const request = { token: stack.api.token(buyer, 'buyer'), key: `e2e-purchase-${buyer}`, body };
  return eventually(
    'the purchase',
    20_000,
    () => stack.api.call('POST', '/v1/checkout', request),
    ({ status }) => status < 500,
  );
}
