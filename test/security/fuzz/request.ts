/** Requests, drawn: what is asked, by whom, and how it is spoiled. */
import { createHmac } from 'node:crypto';
import type { Json, Operation, Role, Schema } from './document.ts';
import type { Draw } from './draw.ts';
import { hostileHeader, hostileJson, hostileText } from './hostile.ts';
import { type Known, sample } from './sample.ts';
import { spoil } from './spoil.ts';
import { BUYERS, SKUS, type World } from './world.ts';

export type Sent = {
  operation: Operation;
  /** What was done to it; `plain` for nothing. */
  kind: Kind;
  method: string;
  target: string;
  headers: [string, string][];
  body: Buffer;
  /** What the answer must be, where that is known: the status, or that it is no success. */
  wanted?: number | 'no success';
  /** `whole`; `gone`: the client leaves before the answer; `bytes`: the head has been damaged. */
  how: 'whole' | 'gone' | 'bytes';
  bytes: Buffer;
  /** For `gone`: how much is sent and how long it stays, ms. */
  leaves?: { after_bytes: number; after_ms: number };
};

export const KINDS = [
  ...[
    'plain',
    'body',
    'text',
    'token',
    'key',
    'path',
    'query',
    'method',
    'header',
    'stranger',
    'gone',
    'bytes',
  ],
] as const;
export type Kind = (typeof KINDS)[number];

const WEIGHTS: readonly (readonly [number, Kind])[] = [
  [34, 'plain'],
  [28, 'body'],
  [8, 'text'],
  [6, 'token'],
  [4, 'key'],
  [5, 'path'],
  [3, 'query'],
  [2, 'method'],
  [3, 'header'],
  [4, 'stranger'],
  [2, 'gone'],
  [1, 'bytes'],
];

/** Asked more often than the others: they take stock. */
const FAVOURED: Readonly<Record<string, number>> = {
  checkout: 8,
  lock: 5,
  create_sale: 0.3,
  cancel: 0.3,
  delete_webhook: 0.1,
  close: 0.2,
};
const PAYMENT_TOKENS = [
  'pm_ok',
  'pm_ok',
  'pm_declined',
  'pm_insufficient_funds',
  'pm_3ds',
  'pm_error_once',
  'pm_slow',
];
const ROLES: readonly Role[] = ['buyer', 'merchant', 'admin'];

export function drawRequest(world: World, draw: Draw): Sent {
  const operation = draw.weighted(world.operations.map((known) => [FAVOURED[known.id] ?? 1, known] as const));
  const drawn = draw.weighted(WEIGHTS);
  // A damaged key would be another one, and an operator's change under it one that nobody could tell.
  const kind = drawn === 'bytes' && /^(topup|reduce)$/.test(operation.id) ? 'plain' : drawn;
  const { shop } = kind === 'stranger' ? { shop: world.stranger } : world;
  const order = draw.of(shop.orders);
  // Whose token: the order's buyer's where it is about one, else anybody's.
  const about_order = operation.path.includes('/orders/') || 'order_id' in propertiesOf(operation);
  const sub = about_order ? order.buyer : `buyer-${draw.below(BUYERS)}`;
  const role = operation.role === 'all' ? draw.of(['all', ...ROLES] as const) : operation.role;
  const caller = world.shop.token(role === 'admin' ? 'operator' : sub, role);
  const headers: [string, string][] = [['Host', 'a']];
  if (role !== 'all') headers.push(['Authorization', `Bearer ${caller}`]);

  const of_shop = knownOf(world, shop, order.id);
  // Whoever takes out all there is leaves nothing to buy.
  const known: Known = (name, by) =>
    name === 'qty' && operation.id === 'reduce' ? 1 + by.below(20) : of_shop(name, by);
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    pathValue(operation, name, shop, order.id, draw),
  );
  const query = new URLSearchParams();
  for (const { name, in: place, required, schema } of operation.parameters) {
    if (place === 'query' && (required || draw.chance(0.4)))
      query.set(name, String(sample(schema, draw, known, name)));
    // Some come again and again: by the same buyer for the same or for another request.
    if (place === 'header')
      headers.push([
        'Idempotency-Key',
        draw.chance(0.2) ? `key-again-${10_000 + draw.below(200)}` : draw.text(24),
      ]);
  }
  const sent: Sent = {
    ...{
      operation,
      kind,
      method: operation.method,
      headers,
      how: 'whole',
      body: Buffer.alloc(0),
      bytes: Buffer.alloc(0),
    },
    target: query.size > 0 ? `${path}?${query}` : path,
  };
  if (operation.body === 'signed') {
    sent.body = Buffer.from(
      JSON.stringify({ id: draw.text(10), type: 'payment.captured', payment: { order_id: order.id } }),
    );
    headers.push(['Sandbox-Signature', `t=${world.started_s},v1=${'0'.repeat(64)}`]);
    sent.wanted = 'no success';
  } else if (operation.body) {
    const body = sample(operation.body, draw, known);
    bodyOf(sent, kind === 'body' ? spoil(body, draw) : body);
    headers.push(['Content-Type', 'application/json']);
  }
  spoilRequest(sent, world, draw);
  if (sent.kind === 'stranger' && operation.path.includes('{') && operation.role !== 'all')
    sent.wanted = 'no success';
  sent.bytes = damaged(sent, bytesOf(sent), draw);
  return sent;
}

const propertiesOf = ({ body }: Operation): Readonly<Record<string, Schema>> =>
  (typeof body === 'object' && body.properties) || {};

/** The body as JSON, and what the document says of it. */
function bodyOf(sent: Sent, body: Json): void {
  sent.body = Buffer.from(JSON.stringify(body));
  // As the engine reads it: -0, and numbers that JSON can't write.
  if (sent.operation.bodyFault(JSON.parse(sent.body.toString()))) sent.wanted = 'no success';
}

function knownOf(world: World, shop: World['shop'], order_id: string): Known {
  return (name, draw) => {
    switch (name) {
      case 'sale_id':
        return draw.chance(0.95) ? draw.of(draw.chance(0.9) ? shop.sales : shop.gated) : undefined;
      case 'sku':
        return draw.chance(0.95) ? draw.of(SKUS) : undefined;
      case 'order_id':
        return order_id;
      case 'token':
        return draw.of(PAYMENT_TOKENS);
      case 'psp':
        return 'sandbox';
      case 'id':
        return draw.chance(0.1) ? world.stranger.twin : undefined;
      case 'url':
      case 'tracking_url':
        return `https://hooks.shop.example/${draw.text(5)}`;
      case 'coupon_code':
        return undefined;
      default:
        return undefined;
    }
  };
}

const GATES = /^(open|pause|resume|close)$/;

function pathValue(
  { id, path }: Operation,
  name: string,
  shop: World['shop'],
  order_id: string,
  draw: Draw,
): string {
  if (name === 'psp') return draw.of(['sandbox', 'stripe', 'midtrans', 'razorpay', 'paypal', 'none']);
  if (name === 'sku') return draw.of(SKUS);
  if (path.includes('/orders/')) return order_id;
  if (path.includes('/webhooks/')) return draw.of(shop.endpoints);
  if (path.includes('/sales/'))
    return draw.of(GATES.test(id) || path.endsWith('/rebuild') ? shop.gated : shop.sales);
  return draw.text(12);
}

function setHeader(sent: Sent, name: string, value?: string): void {
  sent.headers = sent.headers.filter(([known]) => known !== name);
  if (value !== undefined) sent.headers.push([name, value]);
}

function spoilRequest(sent: Sent, world: World, draw: Draw): void {
  const { operation } = sent;
  switch (sent.kind) {
    case 'text':
      if (sent.body.length > 0) {
        sent.body = hostileJson(draw, sent.body.toString());
        sent.wanted = undefined;
      } else {
        sent.body = Buffer.from(draw.of(['{}', 'x', '[]', 'x'.repeat(17_000)]));
      }
      if (draw.chance(0.3)) setHeader(sent, 'Content-Type', draw.of(CONTENT_TYPES));
      break;
    case 'token':
      setHeader(sent, 'Authorization', forged(world, draw));
      sent.wanted = 401;
      break;
    case 'key':
      setHeader(
        sent,
        'Idempotency-Key',
        draw.of([
          undefined,
          '',
          'short',
          'x'.repeat(256),
          'a b'.repeat(8),
          '"'.repeat(20),
          `"${draw.text(20)}"`,
          draw.text(20, '\\/<>{}:;,é'),
        ]),
      );
      break;
    case 'path': {
      const hostile = inPath(draw).slice(0, 3_000);
      const segments = sent.target.split('/');
      segments[1 + draw.below(segments.length - 1)] = draw.of([
        hostile,
        '',
        '.',
        '..',
        '%',
        '%zz',
        '%00',
        '%2e%2e%2f',
        ';',
        'x'.repeat(2_000),
      ]);
      sent.target = segments.join('/');
      break;
    }
    case 'query': {
      const value = inPath(draw).slice(0, 2_000);
      const name = draw.of(['sale_id', 'state', 'limit', 'cursor', 'tenant', '__proto__', 'x'.repeat(500)]);
      sent.target += `${sent.target.includes('?') ? '&' : '?'}${name}=${value}${draw.of(['', '&', '&&=&', `&${name}=1`, '&limit=0', '#x'])}`;
      break;
    }
    case 'method':
      sent.wanted = undefined;
      sent.method = draw.of([
        'GET',
        'HEAD',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'OPTIONS',
        'TRACE',
        'BREW',
        'post',
      ]);
      break;
    case 'header':
      for (let i = 0; i <= draw.below(3); i++) sent.headers.push(hostileHeader(draw));
      break;
    case 'gone':
      sent.how = 'gone';
      break;
    case 'bytes':
      sent.how = 'bytes';
      break;
    default:
  }
  if (operation.body === 'signed' && sent.kind === 'text') sent.wanted = 'no success';
}

const CONTENT_TYPES = [
  '',
  'text/plain',
  'application/json; charset=utf-16',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/JSON',
  'x'.repeat(300),
];

const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A header for `Authorization` that must not count. */
function forged(world: World, draw: Draw): string {
  const claims = {
    sub: 'operator',
    role: 'admin',
    tenant: world.shop.tenant,
    aud: 'stampede',
    exp: world.started_s + 86_400,
  };
  const signed = (header: object, payload: unknown, key = world.secret, hash = 'sha256') => {
    const text = `${b64(header)}.${b64(payload)}`;
    return `Bearer ${text}.${createHmac(hash, key).update(text).digest('base64url')}`;
  };
  const head = { alg: 'HS256', typ: 'JWT' };
  const good = signed(head, claims).slice('Bearer '.length);
  return draw.of<() => string>([
    () => `Bearer ${b64({ alg: 'none' })}.${b64(claims)}.`,
    () => `Bearer ${b64({ alg: 'none' })}.${b64(claims)}.x`,
    () => signed(head, claims, 'guessed'),
    () => signed({ alg: 'HS512' }, claims, world.secret, 'sha512'),
    () => signed(head, { ...claims, exp: 1 }),
    () => signed(head, { ...claims, exp: undefined }),
    () => signed(head, { ...claims, nbf: claims.exp }),
    () => signed(head, { ...claims, aud: 'other' }),
    () => signed(head, { ...claims, role: draw.of(['root', ['admin'], null, 1]) }),
    () => signed(head, { ...claims, sub: draw.of(['', ' ', 'a\nb', 7, null, 'x'.repeat(200)]) }),
    () => signed(head, { ...claims, tenant: draw.of(['', 'a:b', '{x}', 'x'.repeat(65), 1, '../x']) }),
    () => signed(head, draw.of<unknown>(['text', 7, [claims], null])),
    () => `Bearer ${good}, Bearer ${good}`,
    () => `Basic ${good}`,
    () => good,
    () => `Bearer ${good.slice(0, -1)}${good.endsWith('A') ? 'Q' : 'A'}x`,
    () => `Bearer ${good.split('.').slice(0, 2).join('.')}`,
    () => `Bearer ${'x'.repeat(3_000)}`,
    () => `Bearer ${inPath(draw).slice(0, 500)}`,
  ])();
}

function bytesOf({ method, target, headers, body }: Sent): Buffer {
  const length =
    body.length > 0 || method === 'POST' || method === 'PATCH'
      ? [['Content-Length', String(body.length)]]
      : [];
  const lines = [...headers, ...length].map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

function damaged(sent: Sent, bytes: Buffer, draw: Draw): Buffer {
  if (sent.how === 'gone') {
    const after_bytes = draw.chance(0.5) ? bytes.length : draw.below(bytes.length);
    sent.leaves = { after_bytes, after_ms: draw.below(4) };
  }
  if (sent.how !== 'bytes') return bytes;
  sent.wanted = undefined;
  const head = bytes.length - sent.body.length;
  const changed = Buffer.from(bytes);
  for (let i = 0; i <= draw.below(4); i++) {
    changed[draw.below(head)] = draw.of([0, 9, 10, 13, 32, 58, 44, 0xff, 0x80, draw.below(256)]);
  }
  return changed;
}

/** Halves of surrogate pairs can't be sent in a path. */
const inPath = (draw: Draw): string => encodeURIComponent(Buffer.from(hostileText(draw)).toString());
