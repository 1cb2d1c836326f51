import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANYONE } from './access/caller.ts';
import type { Endpoint, LiveEndpoint } from './endpoint.ts';
import { type HttpServer, serveHttp } from './http.ts';
import { json, refuse } from './reply.ts';
import { watchLive } from './testing/live-client.ts';
import { exchangeRaw, open } from './testing/raw-http.ts';

/** More than the system keeps for a connection. */
const LARGE = Buffer.from(Array.from({ length: 12_000_000 }, (_, i) => (i * 31) % 251));
const logged: unknown[] = [];
const observed: number[] = [];
let handled = 0;
let release: () => void = () => {};
let watchers = 0;

const plain = {
  all_headers: false,
  admit: () => ({ caller: ANYONE }),
  observe: (status: number) => void observed.push(status),
} as const;

const endpoints: Endpoint[] = [
  {
    ...plain,
    method: 'POST',
    path: '/echo',
    answer: (_head, _caller, body) => {
      handled += 1;
      return json(200, { length: body?.length, text: body?.toString().slice(0, 20) });
    },
  },
  { ...plain, method: 'GET', path: '/echo', answer: () => json(200, { is: 'get' }) },
  {
    ...plain,
    method: 'GET',
    path: '/things/{id}',
    answer: (head) => json(200, { params: head.params, query: head.query }),
  },
  {
    ...plain,
    method: 'POST',
    path: '/slow',
    answer: async () => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      handled += 1;
      return json(200, { late: true });
    },
  },
  {
    ...plain,
    method: 'GET',
    path: '/large',
    answer: () => {
      handled += 1;
      return { status: 200, body: LARGE, content_type: 'application/octet-stream' };
    },
  },
  {
    ...plain,
    method: 'GET',
    path: '/unchanged',
    answer: () => ({ status: 304, body: '', content_type: '' }),
  },
  {
    ...plain,
    method: 'GET',
    path: '/throws',
    answer: () => {
      throw new Error('secret of the house');
    },
  },
  {
    ...plain,
    method: 'GET',
    path: '/rejects',
    answer: () => Promise.reject(new Error('secret of the house')),
  },
  {
    ...plain,
    method: 'POST',
    path: '/closed',
    admit: () => ({ refusal: refuse('unauthorized') }),
    answer: () => json(200, {}),
  },
  {
    ...plain,
    method: 'POST',
    path: '/async-door',
    admit: async () => ({ caller: ANYONE }),
    answer: (_head, _caller, body) => json(200, { length: body?.length }),
  },
];

const live: LiveEndpoint = {
  path: '/rooms/{id}/live',
  admit: async (head) =>
    head.params[0] === 'locked' ? { refusal: refuse('not_found') } : { topic: head.params[0] },
  joined: (topic) => {
    watchers += 1;
    return `hello ${topic}`;
  },
  left: () => {
    watchers -= 1;
  },
};

let server: HttpServer;
let url: string;

beforeAll(async () => {
  server = await start();
  url = `http://127.0.0.1:${server.port}`;
});
afterAll(() => server.close(1_000));

function start(): Promise<HttpServer> {
  return serveHttp({
    host: '127.0.0.1',
    port: 0,
    endpoints,
    live: [live],
    fallback: (head) => (head.path === '/page' ? json(200, { page: true }) : refuse('not_found')),
    peer_wanted: true,
    refusalFor: (error) => {
      logged.push(error);
      return refuse('internal_error');
    },
  });
}

const HEAD = 'Host: a\r\nContent-Type: application/json\r\n';

describe('every answer', () => {
  it('carries a Request-Id, no two the same', async () => {
    const ids = await Promise.all(
      ['/echo', '/none', '/throws', '/things/1'].map(async (path) =>
        (await fetch(url + path)).headers.get('request-id'),
      ),
    );
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9._-]{8,64}$/);
  });

  it('repeats the Request-Id of the client when it is a sane one', async () => {
    const ask = async (id: string) =>
      (await fetch(`${url}/echo`, { headers: { 'request-id': id } })).headers.get('request-id');
    expect(await ask('client-0001')).toBe('client-0001');
    expect(await ask('short')).not.toBe('short');
    expect(await ask('a"b<script>')).not.toContain('script');
    expect(await ask('4242424242424242')).not.toContain('4242');
  });
});

describe('paths and methods', () => {
  it('a path that is none: 404 as a problem with the id of the request', async () => {
    const response = await fetch(`${url}/none`);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual({
      type: '/docs/problems#not_found',
      title: 'Not found',
      status: 404,
      code: 'not_found',
      detail: expect.any(String),
      request_id: response.headers.get('request-id'),
    });
  });

  it('a method that a path does not have: 405 with Allow', async () => {
    const response = await fetch(`${url}/echo`, { method: 'DELETE' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST, GET, HEAD, OPTIONS');
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' });
    expect((await fetch(`${url}/slow`)).status).toBe(405);
    expect(
      (await exchangeRaw(server.port, ['BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n'])).answers[0].status,
    ).toBe(405);
  });

  it('OPTIONS names the methods; HEAD is GET without its body', async () => {
    const options = await fetch(`${url}/things/1`, { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS']);
    const head = await fetch(`${url}/echo`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '12', '']);
    expect((await fetch(`${url}/none`, { method: 'HEAD' })).status).toBe(404);
  });

  it('parameters are decoded, the query is as it came', async () => {
    expect(await (await fetch(`${url}/things/a%2Fb?x=1&y=%20`)).json()).toEqual({
      params: ['a/b'],
      query: 'x=1&y=%20',
    });
    expect(await (await fetch(`${url}/things/%zz`)).json()).toMatchObject({ params: ['%zz'] });
  });

  it('what no endpoint takes falls to the pages', async () => {
    expect(await (await fetch(`${url}/page`)).json()).toEqual({ page: true });
    expect((await fetch(`${url}/page`, { method: 'POST' })).status).toBe(404);
  });
});

describe('bodies', () => {
  it('16 KiB pass, one byte more is 413 and nothing is handled', async () => {
    const full = await fetch(`${url}/echo`, { method: 'POST', body: 'x'.repeat(16_384) });
    expect(await full.json()).toMatchObject({ length: 16_384 });
    handled = 0;
    for (const size of [16_385, 200_000, 3_000_000]) {
      const response = await fetch(`${url}/echo`, { method: 'POST', body: 'x'.repeat(size) }).catch(
        () => undefined,
      );
      // What is far over is cut off: the client may see its own broken pipe first.
      if (size < 1_000_000 || response) expect([size, response?.status]).toEqual([size, 413]);
    }
    expect(handled).toBe(0);
  });

  it('a chunked body counts by its bytes', async () => {
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    const head = `POST /echo HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
    const fits = await exchangeRaw(server.port, [head, chunk, chunk, chunk, chunk, '0\r\n\r\n']);
    expect(JSON.parse(fits.answers[0].body)).toMatchObject({ length: 16_384 });
    const over = await exchangeRaw(server.port, [
      head,
      chunk,
      chunk,
      chunk,
      chunk,
      '1\r\nx\r\n',
      '0\r\n\r\n',
    ]);
    expect(over.answers[0].status).toBe(413);
  });

  it('arrives whole when it comes in pieces', async () => {
    const head = `POST /async-door HTTP/1.1\r\n${HEAD}Content-Length: 10\r\n\r\n`;
    const { answers } = await exchangeRaw(server.port, [head.slice(0, 30), head.slice(30), '01234', '56789']);
    expect(JSON.parse(answers[0].body)).toEqual({ length: 10 });
  });

  it('is not waited for where the door is closed, and the connection goes on', async () => {
    const refused = `POST /closed HTTP/1.1\r\n${HEAD}Content-Length: 5\r\n\r\n`;
    const { answers } = await exchangeRaw(
      server.port,
      [refused, 'xxxxx', 'GET /echo HTTP/1.1\r\nHost: a\r\n\r\n'],
      2,
    );
    expect(answers.map((answer) => answer.status)).toEqual([401, 200]);
  });

  it.each([
    'Content-Length: 5\r\nContent-Length: 6\r\n',
    'Content-Length: 5\r\nContent-Length: 5\r\n',
    'Transfer-Encoding: gzip\r\n',
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    'Content-Length: -5\r\n',
  ])('%j is 400 and the connection is closed', async (framing) => {
    const { answers, closed } = await exchangeRaw(
      server.port,
      [`POST /echo HTTP/1.1\r\nHost: a\r\n${framing}\r\n`, 'x'.repeat(5)],
      2,
    );
    expect([answers[0].status, closed]).toEqual([400, true]);
  });
});

describe('connections', () => {
  it('pipelined requests are answered in their order', async () => {
    const get = (id: number) => `GET /things/${id} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const { answers } = await exchangeRaw(server.port, [get(1) + get(2) + get(3)], 3);
    expect(answers.map((answer) => JSON.parse(answer.body).params[0])).toEqual(['1', '2', '3']);
  });

  it.each([
    ['HEAD /echo', 200, '12'],
    ['HEAD /things/1', 200, undefined],
    ['HEAD /none', 404, undefined],
    ['OPTIONS /echo', 204, undefined],
    ['GET /unchanged', 304, undefined],
  ])('%s has no body, and the connection goes on', async (start, status, length) => {
    const parts = [`${start} HTTP/1.1\r\nHost: a\r\n\r\n`, 'GET /echo HTTP/1.1\r\nHost: a\r\n\r\n'];
    const socket = await open(server.port);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    // One after the other: the library answers what comes with the first.
    socket.write(parts[0]);
    await expect.poll(() => text).toMatch(/\r\n\r\n$/);
    const head = text;
    socket.write(parts[1]);
    await expect.poll(() => text).toMatch(/\{"is":"get"\}$/);
    socket.destroy();
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const told = /^Content-Length: (\d+)/im.exec(head)?.[1];
    if (status !== 200) expect(status === 404 || told === undefined).toBe(true);
    if (length) expect(told).toBe(length);
  });

  it('a client that has gone gets no answer, and nobody is harmed', async () => {
    const socket = await open(server.port);
    handled = 0;
    socket.write(`POST /slow HTTP/1.1\r\n${HEAD}Content-Length: 0\r\n\r\n`);
    await expect.poll(() => release.name).toBe('');
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    await once(socket, 'close');
    await new Promise((resolve) => setTimeout(resolve, 20));
    release();
    await expect.poll(() => handled).toBe(1);
    expect((await fetch(`${url}/echo`)).status).toBe(200);
  });

  it('a client that goes in the middle of its body leaves nothing under way', async () => {
    const other = await start();
    const socket = await open(other.port);
    socket.write(`POST /echo HTTP/1.1\r\n${HEAD}Content-Length: 100\r\n\r\nhalf`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const before = performance.now();
    await other.close(5_000);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

describe('a large answer', () => {
  it('comes whole to whoever reads slowly, and the connection goes on', async () => {
    const socket = await open(server.port);
    socket.pause();
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => socket.readableLength).toBeGreaterThan(0);
    const chunks: Buffer[] = [];
    let size = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
    socket.resume();
    await expect.poll(() => size, { timeout: 20_000 }).toBeGreaterThanOrEqual(LARGE.length);
    const whole = Buffer.concat(chunks);
    expect(whole.subarray(whole.indexOf('\r\n\r\n') + 4).equals(LARGE)).toBe(true);
    socket.write('GET /echo HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => size).toBeGreaterThan(whole.length);
    socket.destroy();
  });

  it('is not kept again and again for whoever asks for it many times and reads nothing', async () => {
    handled = 0;
    const socket = await open(server.port);
    socket.pause();
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(30));
    await expect.poll(() => handled).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await fetch(`${url}/echo`)).status).toBe(200);
    expect(handled).toBeLessThan(10);
    socket.destroy();
  });

  it('nobody is harmed by a client that goes in the middle of it', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = await open(server.port);
      socket.pause();
      socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
      await new Promise((resolve) => setTimeout(resolve, i % 4));
      socket.resetAndDestroy();
    }
    expect((await fetch(`${url}/echo`)).status).toBe(200);
  });
});

describe('errors', () => {
  it.each(['/throws', '/rejects'])('%s: 500 that tells nothing, and the log knows', async (path) => {
    logged.length = 0;
    const response = await fetch(url + path);
    const text = await response.text();
    expect([response.status, JSON.parse(text).code]).toEqual([500, 'internal_error']);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('.ts');
    expect(logged).toHaveLength(1);
    expect(observed.at(-1)).toBe(500);
  });
});

describe('live', () => {
  it('greets, publishes by topic, counts, and ignores what comes in', async () => {
    const a = await watchLive(server.port, '/rooms/a/live');
    const b = await watchLive(server.port, '/rooms/b/live');
    await expect.poll(() => [a.messages, b.messages]).toEqual([['hello a'], ['hello b']]);
    expect(watchers).toBe(2);
    a.send(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    server.publish('a', 'news');
    await expect.poll(() => a.messages).toEqual(['hello a', 'news']);
    expect(b.messages).toEqual(['hello b']);
    a.end();
    b.end();
    await expect.poll(() => watchers).toBe(0);
  });

  it('a refused upgrade is a problem, and a plain GET is the endpoint of that path, if it has one', async () => {
    await expect(watchLive(server.port, '/rooms/locked/live')).rejects.toThrow('404');
    const plain = await fetch(`${url}/rooms/a/live`);
    expect([plain.status, plain.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
  });

  it('a message that is too long ends the socket', async () => {
    const client = await watchLive(server.port, '/rooms/a/live');
    const head = Buffer.from([0x81, 0xfe, 0x10, 0x00, 0, 0, 0, 0]);
    client.send(Buffer.concat([head, Buffer.alloc(4_096, 'x')]));
    expect(await client.closed).toBe(1006);
    await expect.poll(() => watchers).toBe(0);
  });
});

describe('draining', () => {
  it('finishes what is under way, closes its connection, and takes nothing new', async () => {
    const other = await start();
    const waiting = exchangeRaw(other.port, [`POST /slow HTTP/1.1\r\n${HEAD}Content-Length: 0\r\n\r\n`], 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closing = other.close(5_000);
    await expect(open(other.port)).rejects.toThrow();
    release();
    const { answers, closed } = await waiting;
    expect([answers.length, answers[0].status, closed]).toEqual([1, 200, true]);
    expect(answers[0].headers.get('connection')).toBe('close');
    await closing;
  });

  it('says goodbye to those who watch', async () => {
    const other = await start();
    const client = await watchLive(other.port, '/rooms/a/live');
    await other.close(1_000);
    expect(await client.closed).toBe(1001);
  });

  it('does not wait longer than its patience', async () => {
    const other = await start();
    const waiting = exchangeRaw(other.port, [`POST /slow HTTP/1.1\r\n${HEAD}Content-Length: 0\r\n\r\n`]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await other.close(100);
    expect(await waiting).toEqual({ answers: [], closed: true });
    release();
  });
});

it('a port that cannot be had is said in a line', async () => {
  await expect(
    serveHttp({
      host: '192.0.2.1',
      port: 1,
      endpoints: [],
      live: [],
      fallback: () => refuse('not_found'),
      peer_wanted: false,
      refusalFor: () => refuse('internal_error'),
    }),
  ).rejects.toThrow(/^PORT 1 on 192.0.2.1 cannot be listened on/);
});
