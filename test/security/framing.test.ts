/**
 * Where one request ends and the next begins. Whoever reads that otherwise than the proxy before us lets a client put a
 * request into somebody else's connection. So each row sends a lock of a SKU of its own (`own`), framed in a way that
 * two readers may understand differently, with another lock (`hidden`) where one of them would see it: the hidden one
 * must never take stock, the own one only where there is just one way to read it, and the connection must end.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeRaw } from '../../engine/testing/raw-http.ts';
import { newKey, startTestEngine, type TestEngine } from '../support/engine.ts';

/** The lock's head without its framing, its body, and the whole of another request. */
type Parts = { line: string; head: string; body: string; hidden: string };
type Row = { name: string; send(parts: Parts): string };

const length = (text: string) => `Content-Length: ${text.length}\r\n`;
const hex = (text: string) => text.length.toString(16);
const chunks = (body: string, end = '\r\n') => `${hex(body)}\r\n${body}${end}0\r\n\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

/** With `framing` among the headers; the body follows as it is told. */
const headers = (name: string, framing: string, body?: (parts: Parts) => string): Row => ({
  name,
  send: (parts) => `${parts.line}${parts.head}${framing}\r\n${(body ?? (({ hidden }) => hidden))(parts)}`,
});
const withBody = ({ body, hidden }: Parts) => body + hidden;
const inChunks = ({ body, hidden }: Parts) => chunks(body) + hidden;

/** Nothing of these may be carried out. */
const REFUSED: readonly Row[] = [
  {
    name: 'Content-Length and Transfer-Encoding',
    send: (p) => `${p.line}${p.head}${length(p.body)}${CHUNKED}\r\n${chunks(p.body)}${p.hidden}`,
  },
  {
    name: 'Transfer-Encoding and Content-Length',
    send: (p) => `${p.line}${p.head}${CHUNKED}${length(p.body)}\r\n${chunks(p.body)}${p.hidden}`,
  },
  {
    name: 'two lengths, the first ends before the hidden one',
    send: (p) => `${p.line}${p.head}${length(p.body)}${length(p.body + p.hidden)}\r\n${p.body}${p.hidden}`,
  },
  {
    name: 'two lengths, the second ends before the hidden one',
    send: (p) => `${p.line}${p.head}${length(p.body + p.hidden)}${length(p.body)}\r\n${p.body}${p.hidden}`,
  },
  {
    name: 'the same length twice',
    send: (p) => `${p.line}${p.head}${length(p.body)}${length(p.body)}\r\n${p.body}${p.hidden}`,
  },
  {
    name: 'a list of lengths',
    send: (p) =>
      `${p.line}${p.head}Content-Length: ${p.body.length}, ${p.body.length}\r\n\r\n${p.body}${p.hidden}`,
  },
  ...['+2', '-2', '0x2', '1e1', '2x', '2 2', '', '٢', '99999999999999999999', '18446744073709551618'].map(
    (value) => headers(`a length of ${JSON.stringify(value)}`, `Content-Length: ${value}\r\n`, withBody),
  ),
  ...[
    'xchunked',
    'chunked, identity',
    'gzip, chunked',
    'chunked, chunked',
    '"chunked"',
    'identity',
    'gzip',
    '',
    'chunked;q=1',
    '\x0bchunked',
  ].map((value) => headers(`coded ${JSON.stringify(value)}`, `Transfer-Encoding: ${value}\r\n`, inChunks)),
  headers('coded twice', `${CHUNKED}Transfer-Encoding: x\r\n`, inChunks),
  headers('a space before the colon', 'Transfer-Encoding : chunked\r\n', inChunks),
  headers('a space before the colon of the length', 'Content-Length : 2\r\n', withBody),
  headers('a header that is folded', 'X: y\r\n Transfer-Encoding: chunked\r\n', inChunks),
  {
    name: 'a length that is folded',
    send: (p) => `${p.line}${p.head}Content-Length:\r\n ${p.body.length}\r\n\r\n${p.body}${p.hidden}`,
  },
  headers('an underscore', 'Transfer_Encoding: chunked\r\n', inChunks),
  headers('a line that ends with LF', 'X: y\nTransfer-Encoding: chunked\r\n', inChunks),
  headers('a line that ends with CR', 'X: y\rTransfer-Encoding: chunked\r\n', inChunks),
  headers('NUL in a value', 'X: a\0b\r\n', withBody),
  headers('NUL in a name', 'X\0: a\r\n', withBody),
  headers('a line without a colon', 'nocolon\r\n', withBody),
  headers('more than one host', 'Host: b\r\n', withBody),
  headers('300 headers', 'X: a\r\n'.repeat(300), withBody),
  { name: 'no host', send: (p) => `${p.line}${length(p.body)}\r\n${p.body}${p.hidden}` },
  {
    name: 'LF everywhere',
    send: (p) => `${p.line}${p.head}${length(p.body)}\r\n`.replaceAll('\r', '') + p.body + p.hidden,
  },
  ...['HTTP/1.0', 'HTTP/2.0', 'HTTP/1.1x', 'http/1.1', ''].map((version) => ({
    name: `version ${JSON.stringify(version)}`,
    send: (p: Parts) =>
      `${p.line.replace('HTTP/1.1', version)}${p.head}${length(p.body)}\r\n${p.body}${p.hidden}`,
  })),
  {
    name: 'a line of three spaces',
    send: (p) => `${p.line.replace(' ', '  ')}${p.head}${length(p.body)}\r\n${p.body}${p.hidden}`,
  },
  {
    name: 'the address of another server',
    send: (p) =>
      `${p.line.replace(' /', ' http://other/')}${p.head}${length(p.body)}\r\n${p.body}${p.hidden}`,
  },
  ...['-2', '0x2', '10000000000000002', 'zz'].map((size) =>
    headers(
      `a chunk of ${size} bytes`,
      CHUNKED,
      ({ body, hidden }) => `${size}\r\n${body}\r\n0\r\n\r\n${hidden}`,
    ),
  ),
];

/** One reader may take the own lock, and what follows it is cut off. */
const LAST: readonly Row[] = [
  headers('chunks', CHUNKED, inChunks),
  headers('chunks, the size ends with LF', CHUNKED, ({ body, hidden }) =>
    `${chunks(body)}${hidden}`.replace('\r\n', '\n'),
  ),
  headers('chunks, a space after the size', CHUNKED, (p) => inChunks(p).replace('\r\n', ' \r\n')),
  headers('chunks, an extension', CHUNKED, (p) => inChunks(p).replace('\r\n', ';a=b\r\n')),
  headers('chunks, an extension that ends with LF', CHUNKED, (p) => inChunks(p).replace('\r\n', ';a\n')),
  headers(
    'chunks, no end of a chunk',
    CHUNKED,
    ({ body, hidden }) => `${hex(body)}\r\n${body}XX0\r\n\r\n${hidden}`,
  ),
  headers(
    'chunks, no end after the last',
    CHUNKED,
    ({ body, hidden }) => `${hex(body)}\r\n${body}\r\n0\r\n${hidden}`,
  ),
  headers(
    'chunks, a trailer',
    CHUNKED,
    ({ body, hidden }) => `${hex(body)}\r\n${body}\r\n0\r\nX: y\r\n\r\n${hidden}`,
  ),
  headers(
    'chunks, a size without digits ends them',
    CHUNKED,
    ({ body, hidden }) => `\r\n${body}\r\n0\r\n\r\n${hidden}`,
  ),
];

/** The same of requests that are refused while they are being read. */
const REFUSED_AT_ONCE: readonly Row[] = LAST.map(({ name, send }) => ({
  name: `${name}; not JSON`,
  send: (parts) => send({ ...parts, head: parts.head.replace('application/json', 'text/plain') }),
}));

/** Of requests that carry no body of ours. */
const BODILESS = ['GET /v1/sales/none', 'DELETE /v1/merchant/webhooks/none', 'GET /none', 'PUT /v1/checkout'];
const UNCLEAR = [
  { name: 'two lengths', framing: 'Content-Length: 0\r\nContent-Length: 300\r\n' },
  { name: 'coded gzip', framing: 'Transfer-Encoding: gzip\r\n' },
  { name: 'length and code', framing: `Content-Length: 5\r\n${CHUNKED}` },
  { name: 'a length with a sign', framing: 'Content-Length: +0\r\n' },
  { name: 'chunks', framing: `${CHUNKED}\r\n0\r\n` },
  { name: 'an empty length', framing: 'Content-Length:\r\n' },
];

let t: TestEngine;
let sale_id: string;
/** SKUs of the tests besides the rows. */
const FURTHER = ['fine', 'chunked', 'one', 'two', 'three'];
const rows: Row[] = [
  ...REFUSED,
  ...LAST,
  ...REFUSED_AT_ONCE,
  ...BODILESS.flatMap((start) =>
    UNCLEAR.map(({ name, framing }) => ({
      name: `${start}: ${name}`,
      send: ({ head, hidden }: Parts) => `${start} HTTP/1.1\r\n${head}${framing}\r\n${hidden}`,
    })),
  ),
];
beforeAll(async () => {
  t = await startTestEngine();
  const items = [...rows.flatMap((_, i) => [`own-${i}`, `hidden-${i}`]), ...FURTHER];
  // A body holds so many.
  sale_id = await t.sale({
    items: items.map((sku) => ({ sku, name: 'x', unit_price: 1, qty: 9 })),
  });
});
afterAll(() => t.stop());

/** A lock of one unit: the request's line, its headers but for the framing, its body. */
function lock(sku: string): Omit<Parts, 'hidden'> {
  return {
    line: 'POST /v1/inventory/lock HTTP/1.1\r\n',
    head: [
      ...['Host: a', 'Content-Type: application/json'],
      ...[`Authorization: Bearer ${t.buyer()}`, `Idempotency-Key: ${newKey()}`, ''],
    ].join('\r\n'),
    body: JSON.stringify({ sale_id, items: [{ sku, qty: 1 }] }),
  };
}

function whole({ line, head, body }: Omit<Parts, 'hidden'>): string {
  return `${line}${head}${length(body)}\r\n${body}`;
}

async function left(): Promise<Map<string, number>> {
  const { body } = await t.call('GET', `/v1/sales/${sale_id}`, { token: t.admin });
  return new Map(
    body.items.map(({ sku, available }: { sku: string; available: number }) => [sku, available]),
  );
}

describe.concurrent('requests that two readers may read differently', () => {
  it('carry nothing hidden, are refused or are the last of their connection, and all of these end', async () => {
    // Whoever frames nothing wrong gets what is asked for.
    const fine = await exchangeRaw(t.port, [whole(lock('fine'))]);
    expect(fine.answers[0].status).toBe(201);

    const told = await Promise.all(
      rows.map(async ({ send }, i) => {
        const bytes = send({ ...lock(`own-${i}`), hidden: whole(lock(`hidden-${i}`)) });
        const { answers, closed } = await exchangeRaw(t.port, [Buffer.from(bytes)], 9);
        return { statuses: answers.map(({ status }) => status), closed };
      }),
    );

    const stock = await left();
    for (const [i, row] of rows.entries()) {
      const { statuses, closed } = told[i];
      expect([row.name, closed, stock.get(`hidden-${i}`)]).toEqual([row.name, true, 9]);
      if (LAST.includes(row)) {
        expect([row.name, statuses.length <= 1]).toEqual([row.name, true]);
      } else {
        expect([row.name, stock.get(`own-${i}`)]).toEqual([row.name, 9]);
        // Unanswered is fine as well: what is not understood is given up after a while.
        const fine = statuses.every((status) => [400, 404, 405, 415, 431, 505].includes(status));
        expect([row.name, statuses, fine && statuses.length <= 1]).toEqual([row.name, statuses, true]);
      }
    }
  }, 60_000);

  it('are 400 with a problem where nothing follows them', async () => {
    const { line, head } = lock('fine');
    for (const framing of ['Transfer-Encoding: gzip', 'Content-Length:', 'Content-Length: 0\r\nHost: b']) {
      const { answers, closed } = await exchangeRaw(t.port, [`${line}${head}${framing}\r\n\r\n`], 2);
      expect([framing, answers[0].status, closed]).toEqual([framing, 400, true]);
      expect(JSON.parse(answers[0].body)).toMatchObject({ code: 'invalid_request' });
      expect(answers[0].headers.get('connection')).toBe('close');
    }
  });

  it('a body in chunks is taken, and ends its connection', async () => {
    const { line, head, body } = lock('chunked');
    const { answers, closed } = await exchangeRaw(t.port, [`${line}${head}${CHUNKED}\r\n${chunks(body)}`], 2);
    expect([answers.map(({ status }) => status), closed]).toEqual([[201], true]);
    expect(answers[0].headers.get('connection')).toBe('close');
  });
});

describe.concurrent('heads without measure', () => {
  it.each([
    ['a name of 100 kB', (p: Parts) => `${p.line}${'x'.repeat(100_000)}: y\r\n${p.head}\r\n`],
    ['a value of 1 MB', (p: Parts) => `${p.line}X: ${'y'.repeat(1_000_000)}\r\n${p.head}\r\n`],
    ['a path of 1 MB', (p: Parts) => p.line.replace('/v1', `/${'x'.repeat(1_000_000)}`) + p.head],
    ['10,000 headers', (p: Parts) => `${p.line}${'x: y\r\n'.repeat(10_000)}${p.head}\r\n`],
    [
      'bytes of no kind',
      () => Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7) % 256)).toString('latin1'),
    ],
  ])('%s: refused or cut off, the others go on', async (_name, send) => {
    const { answers, closed } = await exchangeRaw(t.port, [send({ ...lock('fine'), hidden: '' })], 9);
    expect(closed).toBe(true);
    for (const { status } of answers) expect([400, 404, 431, 505]).toContain(status);
    expect((await t.call('GET', '/livez')).status).toBe(200);
  });
});

describe('requests sent on before the answer (pipelined)', () => {
  it('a lock that was not answered is answered by its key, and took stock once', async () => {
    const [one, two, three] = [lock('one'), lock('two'), lock('three')];
    // The library ends a connection on which a request comes while another one is under way.
    const { answers, closed } = await exchangeRaw(t.port, [whole(one) + whole(two) + whole(three)], 3);
    expect(closed || answers.length === 3).toBe(true);
    for (const { status } of answers) expect(status).toBe(201);
    for (const request of [one, two, three]) {
      const again = await exchangeRaw(t.port, [whole(request)]);
      expect(again.answers[0].status).toBe(201);
    }
    const stock = async () => [...(await left())].filter(([sku]) => /^(one|two|three)$/.test(sku));
    await expect.poll(stock).toEqual([
      ['one', 8],
      ['two', 8],
      ['three', 8],
    ]);
  });
});
