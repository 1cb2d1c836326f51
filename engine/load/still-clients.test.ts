import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ANYONE } from '../access/caller.ts';
import type { Endpoint } from '../endpoint.ts';
import { type HttpServer, serveHttp } from '../http.ts';
import { json, refuse } from '../reply.ts';
import { open } from '../testing/raw-http.ts';

const STILL_MS = 1_000;
/** The server library itself ends nobody before 8 s. */
const SOON_MS = 6_000;
const MANY = 120;
/** More than the system keeps for a connection. */
const LARGE = Buffer.alloc(12_000_000, 'a');

const plain = { all_headers: false, admit: () => ({ caller: ANYONE }), observe: () => {} } as const;
const endpoints: Endpoint[] = [
  {
    ...plain,
    method: 'POST',
    path: '/echo',
    answer: (_head, _caller, body) => json(200, { length: body?.length }),
  },
  {
    ...plain,
    method: 'GET',
    path: '/large',
    answer: () => ({ status: 200, body: LARGE, content_type: 'application/octet-stream' }),
  },
];

let server: HttpServer;
let connected = 0;
let ended = 0;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = await serveHttp({
    ...{ host: '127.0.0.1', port: 0, endpoints, live: [], peer_wanted: false, still_ms: STILL_MS },
    fallback: () => refuse('not_found'),
    refusalFor: () => refuse('internal_error'),
    guard: {
      opened: () => {
        connected += 1;
        return true;
      },
      closed: () => {
        connected -= 1;
        ended += 1;
      },
      entered: () => undefined,
      left: () => {},
    },
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(() => connected, { timeout: 15_000 }).toBe(0);
});
afterAll(() => server.close(1_000));

async function client(text: string): Promise<Socket> {
  const socket = await open(server.port);
  socket.on('error', () => {});
  sockets.push(socket);
  socket.write(text);
  return socket;
}

const post = (length: number, body: string) =>
  `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;

describe('clients that stand still', () => {
  it.each([
    ['without a byte of their body', post(10, '')],
    ['in the middle of it', post(10, 'abc')],
  ])('are ended %s, and others are answered', async (_where, text) => {
    ended = 0;
    for (let i = 0; i < MANY; i++) (await client(text)).resume();
    const other = await client(post(3, 'abc'));
    let said = '';
    other.on('data', (data) => {
      said += data.toString();
    });
    await expect.poll(() => said).toContain('{"length":3}');
    await expect.poll(() => ended, { timeout: SOON_MS }).toBeGreaterThanOrEqual(MANY);
  });

  it('are ended when they do not take what they asked for', async () => {
    ended = 0;
    for (let i = 0; i < 8; i++) (await client('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')).pause();
    await expect.poll(() => ended, { timeout: SOON_MS }).toBe(8);
  });

  it('those who go on, however slowly, get all of it', async () => {
    const socket = await client('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    const began_ms = performance.now();
    let size = 0;
    socket.on('data', (chunk) => {
      size += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), 15);
    });
    await expect.poll(() => size, { timeout: 30_000 }).toBeGreaterThan(LARGE.length);
    expect(performance.now() - began_ms).toBeGreaterThan(STILL_MS);
  });
});
