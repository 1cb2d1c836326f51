import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createPlainClient, type PlainClient } from './http-plain.ts';

const servers: Server[] = [];
const clients: PlainClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) server.close();
});

/** `answer` gets each request as text, with how many came before on all connections. */
async function against(
  answer: (request: string, no: number, socket: Socket) => void,
  options: { timeout_ms?: number; connections_max?: number } = {},
) {
  let no = 0;
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.on('data', (bytes) => answer(bytes.toString(), no++, socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const client = createPlainClient({
    ...{ hostname: '127.0.0.1', port: (server.address() as AddressInfo).port },
    ...{ timeout_ms: 5_000, connections_max: 4, body_bytes_max: 1_000 },
    ...options,
  });
  clients.push(client);
  return { client, connections: () => connections };
}

const ok = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
const get = (client: PlainClient) => client.call('GET', '/x', '', undefined);

test('asks with its headers and body, and uses a connection again', async () => {
  const seen: string[] = [];
  const { client, connections } = await against((request, no, socket) => {
    seen.push(request);
    socket.write(ok(`answer ${no} ü`));
  });
  expect(await client.call('POST', '/a?b', 'x-y: z\r\n', '{"ü":1}')).toEqual({
    ...{ kind: 'answer', http_status: 200, text: 'answer 0 ü' },
  });
  expect(seen[0]).toMatch(
    /^POST \/a\?b HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nx-y: z\r\ncontent-length: 8\r\n\r\n\{"ü":1\}$/,
  );
  expect(await get(client)).toMatchObject({ text: 'answer 1 ü' });
  expect(connections()).toBe(1);
});

test('puts an answer together from single bytes, chunks, an interim answer, and what ends with the connection', async () => {
  const answers = [
    ok('slowly'),
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n',
    `HTTP/1.1 100 Continue\r\n\r\n${ok('late')}`,
    'HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nto the end',
    'HTTP/1.1 204 No Content\r\n\r\n',
  ];
  const { client, connections } = await against((_request, no, socket) => {
    const bytes = Buffer.from(answers[no]);
    const write = (at: number) => {
      if (at < bytes.length) socket.write(bytes.subarray(at, at + 1), () => write(at + 1));
      else if (no === 3) socket.end();
    };
    write(0);
  });
  const texts = [];
  for (const _ of answers) texts.push(await get(client));
  expect(texts).toMatchObject([
    { http_status: 200, text: 'slowly' },
    { http_status: 200, text: 'abcde' },
    { http_status: 200, text: 'late' },
    { http_status: 500, text: 'to the end' },
    { http_status: 204, text: '' },
  ]);
  expect(connections()).toBe(2);
});

test('a broken connection, an answer that is none, and one too long are told as such', async () => {
  const { client } = await against((_request, no, socket) => {
    if (no === 0) socket.destroy();
    if (no === 1) socket.write('SSH-2.0-nobody\r\n\r\n');
    if (no === 2) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    if (no === 3) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n${'x'.repeat(2_000)}`);
    if (no === 4) socket.write(`${ok('one')}${ok('two')}`);
  });
  for (let i = 0; i < 5; i++)
    expect(await get(client), String(i)).toEqual({ kind: 'none', reason: 'connection' });
});

test('nobody there', async () => {
  const client = createPlainClient({
    ...{ hostname: '127.0.0.1', port: 9, timeout_ms: 5_000, connections_max: 1, body_bytes_max: 10 },
  });
  expect(await get(client)).toEqual({ kind: 'none', reason: 'connection' });
  expect(await get(client)).toEqual({ kind: 'none', reason: 'connection' });
});

test('an answer that comes after its time is nobody else’s', async () => {
  const late: (() => void)[] = [];
  const { client } = await against(
    (_request, no, socket) => {
      if (no === 0) late.push(() => socket.write(ok('late')));
      else socket.write(ok('mine'));
    },
    { timeout_ms: 200, connections_max: 1 },
  );
  expect(await get(client)).toEqual({ kind: 'none', reason: 'timeout' });
  for (const answer of late) answer();
  expect(await get(client)).toMatchObject({ text: 'mine' });
});

test('no more connections than allowed: the others wait their turn, and no longer than their time', async () => {
  const held: (() => void)[] = [];
  const { client, connections } = await against(
    (_request, _no, socket) => void held.push(() => socket.write(ok('done'))),
    { connections_max: 2, timeout_ms: 3_000 },
  );
  const calls = Array.from({ length: 6 }, () => get(client));
  while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 6; i++) {
    while (held.length <= i) await new Promise((resolve) => setImmediate(resolve));
    held[i]();
  }
  expect((await Promise.all(calls)).every((answer) => answer.kind === 'answer')).toBe(true);
  expect(connections()).toBe(2);
});

test('a connection that its server is about to close is not used again', async () => {
  const { client, connections } = await against((_request, _no, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=1\r\n\r\n');
  });
  await get(client);
  await get(client);
  expect(connections()).toBe(2);
});
