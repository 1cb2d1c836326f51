/** Tokens that must not count, each on each route, and on the WebSocket. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeRaw } from '../../engine/testing/raw-http.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import type { Operation } from './fuzz/document.ts';
import { ask, everythingHeld, makeThings, operationsOf, type Things } from './support/every-operation.ts';

let t: TestEngine;
let things: Things;
let operations: Operation[];
/** Where a token says that its key lies. */
let bait: Server;
let bitten = 0;
let bait_url: string;

beforeAll(async () => {
  bait = createServer((_request, response) => {
    bitten += 1;
    response.end('{"keys":[]}');
  }).listen(0, '127.0.0.1');
  await once(bait, 'listening');
  bait_url = `http://127.0.0.1:${(bait.address() as AddressInfo).port}`;
  t = await startTestEngine({
    env: { DEMO_SALE: 'demo', WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' },
  });
  things = await makeThings(t, 'ada');
  operations = await operationsOf(t);
  await t.stopReconciler();
});
afterAll(async () => {
  await t.stop();
  bait.close();
});

const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEAD = { alg: 'HS256', typ: 'JWT' };

/** Whole headers. All claim to be an admin of the tenant. */
function forged(): Record<string, string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'operator', role: 'admin', tenant: t.tenant, aud: 'stampede', exp: now + 600 };
  const hmac = (header: object, payload: unknown, key: string | Buffer = t.secret, hash = 'sha256') => {
    const text = `${b64(header)}.${b64(payload)}`;
    return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`;
  };
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = rsa.publicKey.export({ format: 'jwk' });
  const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const own = (header: object) => {
    const text = `${b64({ alg: 'RS256', ...header })}.${b64(claims)}`;
    return `${text}.${sign('sha256', Buffer.from(text), rsa.privateKey).toString('base64url')}`;
  };
  const good = hmac(HEAD, claims);
  const [head, body, signature] = good.split('.');
  const tokens: Record<string, string> = {
    'alg none': `${b64({ alg: 'none' })}.${body}.`,
    'alg none, signed': `${b64({ alg: 'nOnE' })}.${body}.${signature}`,
    'no alg': hmac({ typ: 'JWT' }, claims),
    'another secret': hmac(HEAD, claims, 'another-secret'),
    'an empty secret': hmac(HEAD, claims, ''),
    'another hash': hmac({ alg: 'HS512' }, claims, t.secret, 'sha512'),
    'a public key as the secret': hmac(HEAD, claims, pem),
    'a key of its own': own({}),
    'a key in its header (jwk)': own({ jwk }),
    'a key at an address (jku)': own({ jku: `${bait_url}/keys` }),
    'a certificate at an address (x5u)': own({ x5u: `${bait_url}/cert` }),
    'a certificate in its header (x5c)': own({ x5c: [jwk.n] }),
    'a kid that is a path': hmac({ ...HEAD, kid: '../../dev/null' }, claims, ''),
    'a kid that is SQL': hmac({ ...HEAD, kid: "x' UNION SELECT 'key" }, claims, 'key'),
    'an extension that must be understood': hmac({ ...HEAD, crit: ['x'], x: 1 }, claims),
    'a token in a token': hmac({ ...HEAD, cty: 'JWT' }, good),
    'the payload of another': `${head}.${b64({ ...claims, role: 'admin', sub: 'x' })}.${signature}`,
    'the signature of a buyer': `${head}.${body}.${t.buyer('ada').split('.')[2]}`,
    'a signature cut short': good.slice(0, -4),
    'no signature': `${head}.${body}`,
    'a part too many': `${good}.${signature}`,
    expired: hmac(HEAD, { ...claims, exp: now - 1 }),
    'expired in milliseconds': hmac(HEAD, { ...claims, exp: String(now + 600) }),
    'without an end': hmac(HEAD, { ...claims, exp: undefined }),
    'not valid yet': hmac(HEAD, { ...claims, nbf: now + 600 }),
    'another audience': hmac(HEAD, { ...claims, aud: 'stampede2' }),
    'no audience': hmac(HEAD, { ...claims, aud: undefined }),
    'an unknown role': hmac(HEAD, { ...claims, role: 'superadmin' }),
    'several roles': hmac(HEAD, { ...claims, role: ['buyer', 'admin'] }),
    'a role like a property': hmac(HEAD, { ...claims, role: 'length' }),
    nobody: hmac(HEAD, { ...claims, sub: '' }),
    'a tenant that is a pattern': hmac(HEAD, { ...claims, tenant: '*' }),
    'several tenants': hmac(HEAD, { ...claims, tenant: [t.tenant] }),
  };
  return {
    ...Object.fromEntries(Object.entries(tokens).map(([kind, token]) => [kind, `Bearer ${token}`])),
    'another scheme': `Basic ${good}`,
    'no scheme': good,
    'two tokens': `Bearer ${good}, Bearer ${good}`,
    'a token and more': `Bearer ${good} x`,
    'nothing behind the scheme': 'Bearer ',
  };
}

describe('forged tokens', () => {
  it('are 401 on every route, open ones too; nothing has happened, and no address in them was asked', async () => {
    const kinds = Object.entries(forged());
    expect(kinds.length).toBeGreaterThan(30);
    const before = await everythingHeld(t);
    for (const operation of operations) {
      const answers = await Promise.all(
        kinds.map(async ([kind, header]) => [kind, await ask(t, operation, things, header)] as const),
      );
      for (const [kind, { status, body, headers }] of answers) {
        const told = [operation.id, kind, status, body.code, headers.get('www-authenticate')];
        expect(told).toEqual([operation.id, kind, 401, 'unauthorized', 'Bearer realm="stampede"']);
      }
    }
    expect(await everythingHeld(t)).toBe(before);
    expect(bitten).toBe(0);
  }, 60_000);

  it('open no WebSocket', async () => {
    for (const [kind, header] of Object.entries(forged())) {
      const { answers } = await exchangeRaw(t.port, [upgrade(things.sale, header)]);
      expect([kind, answers[0].status]).toEqual([kind, 401]);
    }
  });
});

describe('a WebSocket', () => {
  it('shows another tenant’s sale to nobody, whatever its path says', async () => {
    const other = `Bearer ${t.buyer('ada', { tenant: 'another' })}`;
    const mine = `Bearer ${t.admin}`;
    const { answers } = await exchangeRaw(t.port, [upgrade(things.sale, mine)]);
    expect(answers[0].status).toBe(101);
    for (const id of [
      things.sale,
      `${t.tenant}:${things.sale}`,
      `${things.sale}%00`,
      '%00',
      '..',
      '{x}',
      '%7Bx%7D',
      'x'.repeat(3_000),
    ]) {
      const told = await exchangeRaw(t.port, [upgrade(id, other)]);
      expect([id, told.answers[0].status]).toEqual([id, 404]);
    }
  });
});

function upgrade(sale: string, authorization: string): string {
  return [
    `GET /v1/sales/${sale}/live HTTP/1.1`,
    ...['Host: a', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `Authorization: ${authorization}`, '\r\n'],
  ].join('\r\n');
}
