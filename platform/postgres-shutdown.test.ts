import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, isUnavailable, withConnection } from './postgres.ts';

/** Says in one piece that a statement is done, and that the server shuts down: as a real one does when both come together. */
let server: Server;
let url = '';

const message = (type: string, body: Buffer) => {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const READY = message('Z', Buffer.from('I'));
const DONE = message('C', Buffer.from('SELECT 0\0'));
const SHUTDOWN = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'));

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), READY]));
      socket.once('data', () => socket.end(Buffer.concat([DONE, READY, SHUTDOWN])));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `postgres://nobody@127.0.0.1:${(server.address() as AddressInfo).port}/none`;
});
afterAll(() => server.close());

test('a server that shuts down just as a connection goes from one to the next ends that connection, not the process', async () => {
  const uncaught: unknown[] = [];
  const catchIt = (error: unknown) => uncaught.push(error);
  process.on('uncaughtException', catchIt);
  const pool = createPool({ url, max: 1, application_name: 'test', on_error: () => {} });
  const first = pool.query('SELECT');
  const second = withConnection(pool, (client) => client.query('SELECT')).catch((error) => error);
  await first;
  expect(isUnavailable(await second)).toBe(true);
  await pool.end();
  process.off('uncaughtException', catchIt);
  expect(uncaught).toEqual([]);
});
