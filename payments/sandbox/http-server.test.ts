import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../platform/local/ports.ts';
import { type HttpRequest, type HttpServer, startHttpServer } from './http-server.ts';

let server: HttpServer;
let port: number;
let seen: HttpRequest[] = [];

beforeAll(async () => {
  port = await freePort(undefined);
  server = await startHttpServer({
    ...{ port, host: '127.0.0.1', idle_ms: 60_000, body_bytes_max: 100 },
    handle: async (request) => {
      seen.push(request);
      // The first answer is ready last.
      if (request.url === '/slow') await new Promise((resolve) => setTimeout(resolve, 20));
      if (request.url === '/never') return 'never';
      return { http_status: 200, headers: { 'x-path': request.url }, text: `größe ${request.text}` };
    },
    refuse: (http_status) => ({ http_status, headers: {}, text: 'no' }),
  });
});
afterAll(() => server.close());

/** Sends parts one after another, and returns all that comes until the server hangs up. */
async function exchange(...parts: string[]): Promise<string> {
  seen = [];
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (bytes) => {
    received += bytes.toString();
  });
  socket.on('error', () => {});
  for (const part of parts) {
    socket.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await once(socket, 'close');
  return received;
}

const CLOSE = 'connection: close\r\n';

test('a request in pieces is one, and its body is read to its length', async () => {
  const whole = `POST /a?b=1 HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two:  2 \r\n${CLOSE}content-length: 4\r\n\r\nü→`;
  const letters = [...whole];
  const answer = await exchange(...letters.slice(0, -1), '¶');
  expect(seen).toMatchObject([{ method: 'POST', url: '/a?b=1', text: 'ü¶', headers: { 'x-two': '1, 2' } }]);
  expect(answer).toMatch(
    /^HTTP\/1\.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\nx-path: \/a\?b=1\r\n\r\ngröße ü¶$/,
  );
});

test('requests that come together are answered one after another, in their order', async () => {
  const answer = await exchange(
    `GET /slow HTTP/1.1\r\n\r\nPOST /second HTTP/1.1\r\ncontent-length: 2\r\n\r\nokGET /third HTTP/1.1\r\n${CLOSE}\r\n`,
  );
  expect(seen.map(({ url }) => url)).toEqual(['/slow', '/second', '/third']);
  expect([...answer.matchAll(/x-path: (\S+)/g)].map(([, path]) => path)).toEqual([
    '/slow',
    '/second',
    '/third',
  ]);
});

test.each([
  ['GET\r\n\r\n', 400],
  ['GET x HTTP/1.1\r\n\r\n', 400],
  ['GET / HTTP/1.1 more\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nno colon\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\n: empty\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n', 411],
  ['POST / HTTP/1.1\r\ncontent-length: 101\r\n\r\n', 413],
  [`GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}`, 431],
])('%j is refused with %i, and nobody works on it', async (text, http_status) => {
  expect(await exchange(text)).toMatch(new RegExp(`^HTTP/1\\.1 ${http_status} .*\\r\\n`));
  expect(seen).toEqual([]);
});

test('HEAD is answered with the length and without the body', async () => {
  expect(await exchange(`HEAD / HTTP/1.1\r\n${CLOSE}\r\n`)).toMatch(/content-length: 8\r\n[\s\S]*\r\n\r\n$/);
});

test('a caller that has sent all it will send still gets its answer', async () => {
  seen = [];
  const socket = connect(port, '127.0.0.1');
  socket.end('GET /slow HTTP/1.1\r\n\r\n');
  let received = '';
  for await (const bytes of socket) received += bytes;
  expect(received).toMatch(/^HTTP\/1\.1 200/);
});

test('a caller that goes away while an answer never comes is forgotten', async () => {
  const socket = connect(port, '127.0.0.1');
  seen = [];
  socket.write('GET /never HTTP/1.1\r\n\r\n');
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  expect(await exchange(`GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toMatch(/^HTTP\/1\.1 200/);
});
