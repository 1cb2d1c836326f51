import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

let server: Server;
let proxy: TcpProxy;
let accepted: Socket[] = [];
const clients: Socket[] = [];

/** A server that answers each byte with the same one. */
beforeEach(async () => {
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startTcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
afterEach(async () => {
  for (const socket of [...clients.splice(0), ...accepted]) socket.destroy();
  accepted = [];
  await proxy.close();
  server.close();
});

async function open(): Promise<{ socket: Socket; said(): string; until(text: string): Promise<void> }> {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  let said = '';
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    said += bytes;
  });
  await once(socket, 'connect');
  const until = async (text: string) => {
    while (said !== text) await once(socket, 'data');
  };
  return { socket, said: () => said, until };
}

test('passes both directions and the end of each', async () => {
  const { socket, until } = await open();
  socket.end('hello');
  await until('hello');
  await once(socket, 'close');
});

test('half open: nothing passes, nobody is told; when it heals the old connection is reset and a new one works', async () => {
  const { socket, said, until } = await open();
  socket.write('a');
  await until('a');
  const heal = proxy.trouble({ kind: 'half_open' });
  socket.write('b');
  const other = await open();
  other.socket.write('c');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([said(), other.said(), socket.destroyed]).toEqual(['a', '', false]);
  const gone = new Promise((resolve) => socket.once('close', resolve));
  heal();
  await gone;
  const next = await open();
  next.socket.write('d');
  await next.until('d');
});

test.each(['up', 'down'] as const)(
  'cut %s: what was sent arrives when it heals, in order',
  async (direction) => {
    const { socket, said, until } = await open();
    const heal = proxy.trouble({ kind: 'cut', direction });
    socket.write('one');
    socket.write('two');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(said()).toBe('');
    heal();
    await until('onetwo');
  },
);

test('delay: later, and never overtaken by what is sent after it has healed', async () => {
  const { socket, until } = await open();
  const heal = proxy.trouble({ kind: 'delay', delay_ms: 60_000 });
  socket.write('slow');
  await new Promise((resolve) => setTimeout(resolve, 20));
  heal();
  socket.write('fast');
  await until('slowfast');
});

test('connections made after a change of target lead there', async () => {
  const other = createServer((socket) => socket.end('other'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  proxy.retarget({ host: '127.0.0.1', port: (other.address() as AddressInfo).port });
  const { until } = await open();
  await until('other');
  other.close();
});
