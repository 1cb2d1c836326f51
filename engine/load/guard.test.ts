import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../../test/support/engine.ts';

const LIMIT = 16;
let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({ env: { CONNECTION_LIMIT_IP: String(LIMIT), TRUSTED_PROXIES: '127.0.9.0/24' } });
});
afterAll(() => t.stop());

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A connection from one of this machine's own addresses, and whether the engine has thrown it out. */
async function open(
  localAddress: string,
  text = '',
): Promise<{ socket: Socket; out: boolean; said: string }> {
  const seen = { socket: connect({ port: t.port, host: '127.0.0.1', localAddress }), out: false, said: '' };
  sockets.push(seen.socket);
  seen.socket.on('error', () => {});
  seen.socket.on('data', (data) => {
    seen.said += data.toString();
  });
  seen.socket.once('close', () => {
    seen.out = true;
  });
  await new Promise<void>((resolve) => {
    seen.socket.once('connect', () => resolve());
    seen.socket.once('close', () => resolve());
  });
  if (text) seen.socket.write(text);
  return seen;
}

const many = async (count: number, localAddress: string, text?: string) => {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await open(localAddress, text));
  return all;
};

const gauge = async (name: string) =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await t.registry.metrics())?.[1]);

const HEAD = (extra = '') => `GET /v1/sales/none HTTP/1.1\r\nHost: x\r\n${extra}\r\n`;
const BODY_TO_COME = (extra = '') =>
  `POST /v1/checkout HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.buyer()}\r\nContent-Type: application/json\r\nContent-Length: 900\r\n${extra}\r\n{`;

// Only Linux tells who is connected, and only there all of 127.0.0.0/8 is ours.
describe.skipIf(process.platform !== 'linux')('connections of one address', () => {
  it('has so many, slow or not; another address gets in as before; who leaves makes room', async () => {
    const crowd = await many(4 * LIMIT, '127.0.0.5', 'GET / HTTP/1.1\r\nX-Slow: ');
    const inside = () => crowd.filter(({ out }) => !out).length;
    // An eighth more may slip in while the system is asked.
    await expect.poll(inside, { timeout: 10_000 }).toBeLessThanOrEqual(LIMIT + Math.ceil(LIMIT / 8));
    expect(inside()).toBeGreaterThanOrEqual(LIMIT);
    const [other] = await many(1, '127.0.0.6', HEAD());
    await expect.poll(() => other?.said, { timeout: 10_000 }).toMatch(/^HTTP\/1\.1 404/);

    for (const { socket } of crowd) socket.destroy();
    await expect
      .poll(
        async () => {
          const [again] = await many(1, '127.0.0.5', HEAD());
          await new Promise((resolve) => setTimeout(resolve, 50));
          return again?.said ?? '';
        },
        { timeout: 15_000 },
      )
      .toMatch(/^HTTP\/1\.1 404/);
    expect(await t.registry.metrics()).toMatch(/stampede_rate_limited_total\{limit="connections"\} \d\d/);
  });

  it('a proxy that we trust has more, and each client behind it so many requests at once', async () => {
    const mine = await many(LIMIT + 4, '127.0.9.1', BODY_TO_COME('X-Forwarded-For: 203.0.113.7\r\n'));
    await expect
      .poll(() => mine.filter(({ said }) => said.startsWith('HTTP/1.1 429')).length, { timeout: 10_000 })
      .toBe(4);
    const refused = mine.find(({ said }) => said.startsWith('HTTP/1.1 429'));
    expect(refused?.said).toMatch(/Retry-After: 1/);
    expect(refused?.said).toContain('"code":"rate_limited"');
    await expect.poll(() => mine.filter(({ out }) => out).length, { timeout: 10_000 }).toBe(4);
    const [another] = await many(1, '127.0.9.1', HEAD('X-Forwarded-For: 203.0.113.8\r\n'));
    await expect.poll(() => another?.said, { timeout: 10_000 }).toMatch(/^HTTP\/1\.1 404/);

    // Whose requests are over, or who has gone, may ask again.
    for (const { socket } of mine) socket.destroy();
    await expect
      .poll(
        async () => {
          const [again] = await many(1, '127.0.9.1', HEAD('X-Forwarded-For: 203.0.113.7\r\n'));
          await new Promise((resolve) => setTimeout(resolve, 50));
          return again?.said ?? '';
        },
        { timeout: 15_000 },
      )
      .toMatch(/^HTTP\/1\.1 404/);
  });
});

describe('connections in all', () => {
  it('are counted as they come and go, those that became WebSockets too', async () => {
    const id = await t.sale();
    await expect.poll(() => gauge('stampede_connections'), { timeout: 10_000 }).toBeLessThan(LIMIT);
    const before = await gauge('stampede_connections');
    const upgrade = `GET /v1/sales/${id}/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${t.buyer()}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    const watchers = await many(3, '127.0.0.8', upgrade);
    await expect
      .poll(() => watchers.map(({ said }) => said.slice(0, 12)), { timeout: 5_000 })
      .toEqual(Array(3).fill('HTTP/1.1 101'));
    await expect.poll(() => gauge('stampede_live_watchers'), { timeout: 15_000 }).toBe(3);
    const during = await gauge('stampede_connections');
    expect(during).toBeGreaterThanOrEqual(before);
    for (const { socket } of watchers) socket.destroy();
    await expect.poll(() => gauge('stampede_live_watchers'), { timeout: 10_000 }).toBe(0);
    await expect.poll(() => gauge('stampede_connections'), { timeout: 10_000 }).toBeLessThanOrEqual(before);
    expect(await gauge('stampede_connections')).toBeGreaterThanOrEqual(0);
  });
});
