/**
 * Clients that take their time: heads and bodies by the byte, answers that nobody reads. The others are served meanwhile,
 * the slow ones are cut off, and what was never whole has taken nothing.
 */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open } from '../../engine/testing/raw-http.ts';
import { newKey, startTestEngine, type TestEngine } from '../support/engine.ts';

const EACH = 40;

let t: TestEngine;
let sale_id: string;
beforeAll(async () => {
  t = await startTestEngine();
  sale_id = await t.sale();
});
afterAll(() => t.stop());

const BODY = () => JSON.stringify({ sale_id, items: [{ sku: 'b', qty: 1 }] });
const head = (framing: string) =>
  [
    'POST /v1/inventory/lock HTTP/1.1',
    ...['Host: a', 'Content-Type: application/json', `Authorization: Bearer ${t.buyer()}`],
    ...[`Idempotency-Key: ${newKey()}`, framing, '\r\n'],
  ].join('\r\n');

/** What each kind sends at once, and what again and again. */
const KINDS: readonly { name: string; first(): string; more?: string }[] = [
  { name: 'says nothing', first: () => '' },
  { name: 'half a head', first: () => head('X: y').slice(0, 40) },
  { name: 'a head that never ends', first: () => head('').slice(0, -4), more: 'a' },
  { name: 'headers for ever', first: () => 'GET /livez HTTP/1.1\r\nHost: a\r\n', more: 'X: y\r\n' },
  { name: 'a body that does not come', first: () => head('Content-Length: 60') },
  { name: 'a body by the byte', first: () => head('Content-Length: 9000') + BODY().slice(0, -1), more: ' ' },
  {
    name: 'a body just not whole',
    first: () => head(`Content-Length: ${BODY().length}`) + BODY().slice(0, -1),
  },
  { name: 'chunks by the byte', first: () => head('Transfer-Encoding: chunked'), more: '1\r\n \r\n' },
  { name: 'a chunk that is not whole', first: () => `${head('Transfer-Encoding: chunked')}ff\r\n${BODY()}` },
  { name: 'reads nothing', first: () => 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(400) },
  { name: 'one request, then silence', first: () => 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n' },
];

describe('clients that take their time', () => {
  it('keep nobody else waiting, are cut off, and have taken nothing', async () => {
    const sockets: { name: string; socket: Socket; closed: boolean }[] = [];
    const dripping: NodeJS.Timeout[] = [];
    for (const { name, first, more } of KINDS) {
      for (let i = 0; i < EACH; i++) {
        const socket = await open(t.port);
        const slow = { name, socket, closed: false };
        sockets.push(slow);
        socket
          .on('error', () => {})
          .on('close', () => {
            slow.closed = true;
          });
        if (name === 'reads nothing') socket.pause();
        else socket.resume();
        socket.write(first());
        if (more) dripping.push(setInterval(() => socket.writable && socket.write(more), 700));
      }
    }
    expect(sockets).toHaveLength(EACH * KINDS.length);

    // Everybody else, meanwhile.
    const bought = await Promise.all(Array.from({ length: 60 }, () => t.buy(sale_id)));
    expect(bought.map(({ status }) => status)).toEqual(Array(60).fill(201));

    // Whoever does not read is not told of the end either, and is no longer asked.
    const told = sockets.filter(({ name }) => name !== 'reads nothing');
    await expect
      .poll(() => told.filter(({ closed }) => !closed).map(({ name }) => name), {
        timeout: 60_000,
        interval: 200,
      })
      .toEqual([]);
    for (const timer of dripping) clearInterval(timer);
    for (const { socket } of sockets) socket.destroy();

    expect((await t.buy(sale_id)).status).toBe(201);
    const stock = async () => {
      const { body } = await t.call('GET', `/v1/sales/${sale_id}`, { token: t.admin });
      return body.items.map(({ sku, available }: { sku: string; available: number }) => [sku, available]);
    };
    await expect.poll(stock).toEqual([
      ['a', 39],
      ['b', 100],
    ]);
  }, 120_000);

  it('leave nothing under way: the engine ends at once', async () => {
    const other = await startTestEngine();
    const sockets = await Promise.all(KINDS.map(() => open(other.port)));
    for (const [i, socket] of sockets.entries()) {
      socket.on('error', () => {});
      socket.write(KINDS[i].first());
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    expect((await other.call('GET', '/livez')).status).toBe(200);
    const patience_ms = 20_000;
    const began_ms = performance.now();
    await other.engine.close(patience_ms);
    // Whoever left something under way would have it wait for all its patience.
    expect(performance.now() - began_ms).toBeLessThan(patience_ms / 2);
    await other.stop();
  });
});
