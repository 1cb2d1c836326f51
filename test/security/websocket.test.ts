/** What comes in over a WebSocket is ignored or ends it, whatever it is; stock is shown to those it is for. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open } from '../../engine/testing/raw-http.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { createDraw } from './fuzz/draw.ts';

let t: TestEngine;
let sale: string;
beforeAll(async () => {
  t = await startTestEngine();
  sale = await t.sale();
});
afterAll(() => t.stop());

async function upgraded(change: Readonly<Record<string, string>> = {}) {
  const socket = await open(t.port);
  socket.on('error', () => {});
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const headers = {
    ...{ Host: 'a', Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
    ...{ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', Authorization: `Bearer ${t.buyer()}` },
    ...change,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /v1/sales/${sale}/live HTTP/1.1\r\n${lines.join('')}\r\n`);
  return { socket, text: () => text };
}

/** A masked frame. `length` as it is told, which need not be true. */
function frame(opcode: number, payload: Buffer, length = payload.length): Buffer {
  const long = length > 125;
  const head = Buffer.from([
    opcode,
    0x80 | (long ? 126 : length),
    ...(long ? [length >> 8, length & 255] : []),
    0,
    0,
    0,
    0,
  ]);
  return Buffer.concat([head, payload]);
}

describe('frames', () => {
  it('of no kind, too long, cut, unmasked, never ending: 300 sockets later the engine goes on', async () => {
    const draw = createDraw(11);
    const some = (length: number) => Buffer.from(Array.from({ length }, () => draw.below(256)));
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const { socket, text } = await upgraded();
        await expect.poll(text, { timeout: 20_000 }).toContain('101 Switching');
        const sent = [
          () => some(1 + draw.below(300)),
          () => frame(0x80 | draw.below(16), some(draw.below(100))),
          () => frame(0x81, Buffer.alloc(0), 60_000),
          () => frame(0x81, Buffer.alloc(4_000, 'x')),
          () => frame(0x01, Buffer.from('a part that no other follows')),
          () => frame(0x80, Buffer.from('a part of nothing')),
          () => frame(0x89, some(126)),
          () => frame(0x88, Buffer.from([0, 1])),
          () => frame(0x81, Buffer.from([0xff, 0xfe, 0xfd])),
          () => Buffer.from([0xf1, 0x82, 0, 0, 0, 0, 1, 2]),
          () => Buffer.from([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
          () => Buffer.from([0x81, 0x05, 0x68]),
        ][i % 12]();
        socket.write(sent);
        socket.end();
        await Promise.race([
          once(socket, 'close'),
          new Promise((resolve) => setTimeout(resolve, 2_000).unref()),
        ]);
        socket.destroy();
      }),
    );
    expect((await t.call('GET', '/livez')).status).toBe(200);
    const { socket, text } = await upgraded();
    await expect.poll(text, { timeout: 20_000 }).toContain(`"id":"${sale}"`);
    socket.destroy();
  }, 60_000);

  it('a message of more than 1 KiB ends its connection, a shorter one is ignored', async () => {
    const [longer, shorter] = [await upgraded(), await upgraded()];
    for (const { text } of [longer, shorter])
      await expect.poll(text, { timeout: 20_000 }).toContain('101 Switching');
    shorter.socket.write(frame(0x82, Buffer.alloc(1_000, 'x')));
    longer.socket.write(frame(0x82, Buffer.alloc(1_100, 'x')));
    await expect.poll(() => longer.socket.closed, { timeout: 10_000 }).toBe(true);
    // Its ping is answered: what came before it was read, and did no harm.
    shorter.socket.write(frame(0x89, Buffer.from('still there')));
    await expect.poll(shorter.text, { timeout: 10_000 }).toContain('still there');
    shorter.socket.destroy();
  }, 60_000);

  it('an upgrade that is none is refused, and takes nothing with it', async () => {
    const changes: readonly Readonly<Record<string, string>>[] = [
      { 'Sec-WebSocket-Key': '' },
      { 'Sec-WebSocket-Key': 'x'.repeat(2_000) },
      { 'Content-Length': '5, 6' },
      { 'Transfer-Encoding': 'gzip' },
    ];
    for (const change of changes) {
      const { socket, text } = await upgraded(change);
      await expect.poll(() => text() !== '' || socket.destroyed, { timeout: 20_000 }).toBe(true);
      expect([change, /^HTTP\/1.1 (101|400) /.test(text()) || text() === '']).toEqual([change, true]);
      if (!('Sec-WebSocket-Key' in change)) expect(text()).not.toContain('101');
      socket.destroy();
    }
    expect((await t.call('GET', '/livez')).status).toBe(200);
  });
});
