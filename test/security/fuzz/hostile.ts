/** Values that break what is not careful: for places where something else is wanted. */

import type { Json } from './document.ts';
import type { Draw } from './draw.ts';

const TEXTS: readonly string[] = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\n',
    'a\r\nSet-Cookie: x=1',
    '\t',
    '\u2028',
    '\ufeff',
    '\ud800',
    '\udfff\ud800',
    '\u202e',
  ],
  ...[
    'null',
    'true',
    'NaN',
    '-1',
    '1e9',
    '0x10',
    '1',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ],
  ...[
    "' OR 1=1 --",
    '"; DROP TABLE orders; --',
    '\\',
    "\\'",
    '%',
    '%00',
    '%s%n',
    '$(id)',
    '{{7*7}}',
    '#{1}',
    '`id`',
  ],
  ...[
    '../../etc/passwd',
    '..%2f..%2f',
    '/',
    '//',
    '.',
    '..',
    'C:\\',
    'file:///etc/passwd',
    'http://169.254.169.254/',
  ],
  ...[
    '*',
    '{x}',
    '{default:demo}',
    '}{',
    ':',
    'redis.call("FLUSHALL")',
    '\r\n*1\r\n$8\r\nFLUSHALL\r\n',
    '$1',
    '?',
    '#',
  ],
  ...[
    '<script>alert(1)</script>',
    '4111111111111111',
    '4111 1111 1111 1111',
    '４１１１１１１１１１１１１１１１',
    'é',
    'e\u0301',
    '🛒',
  ],
  ...[
    '\ufdfa'.repeat(200),
    'x'.repeat(65),
    'x'.repeat(256),
    'x'.repeat(5_000),
    '1 '.repeat(2_000),
    `a@${'a-'.repeat(2_000)}`,
  ],
  ...[
    '2027-13-45T99:99:99Z',
    '2027-02-30T00:00:00Z',
    '0000-00-00T00:00:00Z',
    '+275760-09-13T00:00:00.001Z',
    '2027-01-01',
  ],
];

const NUMBERS: readonly number[] = [
  ...[
    0,
    -0,
    -1,
    1.5,
    0.1,
    1e9,
    1e9 + 1,
    1e15,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2 ** 53 + 2,
    -(2 ** 63),
    1e308,
    5e-324,
  ],
];

/** Names that somebody might hope to set, or that mean something to JavaScript. */
export const FOREIGN_FIELDS: readonly string[] = [
  ...[
    'price',
    'unit_price',
    'total',
    'amount',
    'amounts',
    'state',
    'status',
    'user_id',
    'buyer',
    'buyer_id',
    'sub',
    'role',
  ],
  ...[
    'tenant',
    'tenant_id',
    'epoch',
    'generation',
    'seq',
    'expires_at',
    'hold_ms',
    'limit',
    'is_admin',
    'actor',
    'refunded',
  ],
  ...[
    'order_id',
    'id',
    'reversal_wanted',
    'captured',
    'discount',
    'held',
    'available',
    'sale_no',
    'gate',
    'created_at',
  ],
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    '$where',
    '$ref',
    '',
    ' ',
    'x'.repeat(300),
    '4111111111111111',
    'a/b~c',
  ],
];

export const hostileText = (draw: Draw): string => draw.of(TEXTS);

export function hostile(draw: Draw, depth = 0): Json {
  return draw.weighted<() => Json>([
    [6, () => hostileText(draw)],
    [4, () => draw.of(NUMBERS)],
    [1, () => null],
    [1, () => draw.chance(0.5)],
    [1, () => (depth > 2 ? [] : Array.from({ length: draw.below(4) }, () => hostile(draw, depth + 1)))],
    [1, () => (depth > 2 ? {} : { [draw.of(FOREIGN_FIELDS)]: hostile(draw, depth + 1) })],
    [0.3, () => Array.from({ length: 600 }, () => 1)],
  ])();
}

/** Texts in place of a body's JSON. */
export function hostileJson(draw: Draw, body: string): Buffer {
  const at = draw.below(body.length + 1);
  const made = draw.weighted<() => string | Buffer>([
    [4, () => body.slice(0, at)],
    [
      3,
      () =>
        body.slice(0, at) +
        draw.of(['\0', '"', '}', ']', ',', '\\', '\u0000', ' ', '1', 'x']) +
        body.slice(at),
    ],
    [2, () => body + draw.of(['x', '{}', ',', '\0', '\n', body])],
    [1, () => `\ufeff${body}`],
    [
      1,
      () =>
        Buffer.concat([
          Buffer.from(body.slice(0, at)),
          Buffer.from([0xff, 0xc0, 0x80]),
          Buffer.from(body.slice(at)),
        ]),
    ],
    [1, () => '['.repeat(1 + draw.below(8_000))],
    [1, () => '{"a":'.repeat(1 + draw.below(3_000))],
    [
      1,
      () =>
        body.replace(
          /:\s*\d+/,
          `:${draw.of(['1e999', '-0', '1.0', '00', '.5', '1e2', '9'.repeat(400), 'NaN', 'Infinity'])}`,
        ),
    ],
    // The same name twice: both readers must see the last.
    [1, () => body.replace(/^\{("[^"]+":)/, `{$1${JSON.stringify(hostile(draw))},$1`)],
    [
      1,
      () =>
        draw.of([
          '',
          ' ',
          'null',
          'true',
          '1',
          '"x"',
          '[]',
          '{}',
          "{'a':1}",
          '{"a":1,}',
          '/**/{}',
          'sale_id=x',
          '<a/>',
        ]),
    ],
    [0.5, () => 'x'.repeat(16_385 + draw.below(40_000))],
    [0.5, () => Buffer.from(Array.from({ length: draw.below(2_000) }, () => draw.below(256)))],
    // Many faults at once.
    [0.5, () => `{${Array.from({ length: 900 }, (_, i) => `"f${i}":1`).join(',')}}`],
  ])();
  return Buffer.isBuffer(made) ? made : Buffer.from(made);
}

export function hostileHeader(draw: Draw): [string, string] {
  return draw.of<[string, string]>([
    ['X-HTTP-Method-Override', draw.of(['DELETE', 'PUT', 'GET'])],
    ['X-Forwarded-For', draw.of(['127.0.0.1', '::1', '1.2.3.4, 5.6.7.8', 'x'.repeat(500), ',,,'])],
    ['X-Original-URL', '/v1/admin/sales'],
    ['Content-Encoding', draw.of(['gzip', 'br', 'identity'])],
    ['Accept', draw.of(['text/html', '*/*;q=0', 'x'.repeat(500)])],
    ['Accept-Encoding', draw.of(['gzip;q=0', 'br, gzip', 'nonsense', '*'])],
    ['If-None-Match', draw.of(['*', '"x"', 'W/', '"'.repeat(50)])],
    ['Request-Id', draw.of(['short', 'x'.repeat(65), '<script>', 'client-request-1', '"'])],
    ['Cookie', `session=${draw.text(20)}`],
    ['Expect', '200-ok'],
    ['Range', 'bytes=0-1'],
    ['Origin', 'https://evil.example'],
    ['Connection', draw.of(['keep-alive', 'Upgrade', 'x'])],
    ['Upgrade', draw.of(['h2c', 'TLS/1.0'])],
    ['Date', 'yesterday'],
    [`X-${draw.text(40)}`, draw.text(200)],
  ]);
}
