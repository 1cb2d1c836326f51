import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticate } from './authenticate.ts';
import type { Caller } from './caller.ts';
import { KeysUnavailable } from './key-set.ts';

const SECRET = 'the-true-secret-of-this-very-test';
const now = Math.floor(Date.now() / 1000);
const claims = { sub: 'ada', aud: 'stampede', exp: now + 600 };
const hs256 = { alg: 'HS256', typ: 'JWT' };

const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function hmacToken(header: object, payload: unknown, key: string | Buffer = SECRET, hash = 'sha256'): string {
  const signed = `${b64(header)}.${b64(payload)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}

function keyToken(header: { alg: string } & object, payload: unknown, key: KeyObject): string {
  const signed = Buffer.from(`${b64(header)}.${b64(payload)}`);
  const hash = header.alg === 'EdDSA' ? null : 'sha256';
  const signature = sign(hash, signed, { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const forger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const good = hmacToken(hs256, claims);
const [head, body, signature] = good.split('.');

/** What to send as Authorization, whole. */
const FORGED: Record<string, string> = {
  nothing: '',
  'no scheme': good,
  'another scheme': `Basic ${good}`,
  'an empty token': 'Bearer ',
  'no signature': `Bearer ${head}.${body}`,
  'an empty signature': `Bearer ${head}.${body}.`,
  'a fourth part': `Bearer ${good}.${signature}`,
  'two tokens': `Bearer ${good}, Bearer ${good}`,
  'a token and something else': `Bearer ${good} x`,
  'alg none': `Bearer ${b64({ alg: 'none' })}.${body}.`,
  'alg none with a signature': `Bearer ${b64({ alg: 'none' })}.${body}.${signature}`,
  'alg NONE': `Bearer ${b64({ alg: 'NONE' })}.${body}.${signature}`,
  'no alg': `Bearer ${hmacToken({ typ: 'JWT' }, claims)}`,
  'another secret': `Bearer ${hmacToken(hs256, claims, 'another-secret')}`,
  'an empty secret': `Bearer ${hmacToken(hs256, claims, '')}`,
  'HS512 with the true secret': `Bearer ${hmacToken({ alg: 'HS512' }, claims, SECRET, 'sha512')}`,
  'RS256 with a key of its own': `Bearer ${keyToken({ alg: 'RS256' }, claims, forger.privateKey)}`,
  'HS256 keyed with a public key': `Bearer ${hmacToken(hs256, claims, publicPem)}`,
  'a key in its own header (jwk)': `Bearer ${keyToken({ alg: 'RS256', jwk: forger.publicKey.export({ format: 'jwk' }) } as never, claims, forger.privateKey)}`,
  'a key set of its own (jku)': `Bearer ${keyToken({ alg: 'RS256', jku: 'http://127.0.0.1:9/keys' } as never, claims, forger.privateKey)}`,
  'a certificate of its own (x5u)': `Bearer ${keyToken({ alg: 'RS256', x5u: 'http://127.0.0.1:9/cert' } as never, claims, forger.privateKey)}`,
  'a kid that is a path': `Bearer ${hmacToken({ ...hs256, kid: '../../dev/null' }, claims, '')}`,
  'an extension that must be understood': `Bearer ${hmacToken({ ...hs256, crit: ['x'], x: 1 }, claims)}`,
  'a changed payload': `Bearer ${head}.${b64({ ...claims, role: 'admin' })}.${signature}`,
  'a changed signature': `Bearer ${head}.${body}.${signature.slice(0, -2)}AA`,
  'a payload that is no JSON': `Bearer ${hmacToken(hs256, 'not json')}`,
  'a payload that is an array': `Bearer ${hmacToken(hs256, [claims])}`,
  expired: `Bearer ${hmacToken(hs256, { ...claims, exp: now - 1 })}`,
  'no exp': `Bearer ${hmacToken(hs256, { sub: 'ada', aud: 'stampede' })}`,
  'an exp that is text': `Bearer ${hmacToken(hs256, { ...claims, exp: String(now + 600) })}`,
  'not valid yet': `Bearer ${hmacToken(hs256, { ...claims, nbf: now + 600 })}`,
  'no audience': `Bearer ${hmacToken(hs256, { sub: 'ada', exp: now + 600 })}`,
  'another audience': `Bearer ${hmacToken(hs256, { ...claims, aud: 'stampede-staging' })}`,
  'no subject': `Bearer ${hmacToken(hs256, { aud: 'stampede', exp: now + 600 })}`,
  'an empty subject': `Bearer ${hmacToken(hs256, { ...claims, sub: '' })}`,
  'a subject that is a number': `Bearer ${hmacToken(hs256, { ...claims, sub: 7 })}`,
  'a subject with a line end': `Bearer ${hmacToken(hs256, { ...claims, sub: 'a\nb' })}`,
  'an unknown role': `Bearer ${hmacToken(hs256, { ...claims, role: 'root' })}`,
  'two roles': `Bearer ${hmacToken(hs256, { ...claims, role: ['buyer', 'admin'] })}`,
  'a tenant that is none': `Bearer ${hmacToken(hs256, { ...claims, tenant: 'a:b' })}`,
  'far too long': `Bearer ${hmacToken(hs256, { ...claims, pad: 'x'.repeat(8_000) })}`,
};

describe('with a shared secret', () => {
  const authenticate = createAuthenticate({ jwt_secret: SECRET });

  it('a good token says who asks', async () => {
    expect(await authenticate(`Bearer ${good}`)).toMatchObject({
      sub: 'ada',
      role: 'buyer',
      tenant: 'default',
    });
    const admin = hmacToken(hs256, { ...claims, aud: ['x', 'stampede'], role: 'admin', tenant: 'shop-2' });
    expect(await authenticate(`bearer ${admin}`)).toMatchObject({ role: 'admin', tenant: 'shop-2' });
  });

  it.each(Object.keys(FORGED))('%s does not count', async (kind) => {
    expect(await authenticate(FORGED[kind])).toBeUndefined();
    // Nor does it when asked again.
    expect(await authenticate(FORGED[kind])).toBeUndefined();
  });

  it('a remembered token counts no longer than it lasts', async () => {
    let time_ms = Date.now();
    const clocked = createAuthenticate({ jwt_secret: SECRET, now_ms: () => time_ms });
    expect(await clocked(`Bearer ${good}`)).toBeDefined();
    time_ms = (now + 600) * 1000;
    expect(await clocked(`Bearer ${good}`)).toBeUndefined();
  });

  it('remembers a bounded number of tokens', async () => {
    const bounded = createAuthenticate({ jwt_secret: SECRET, remembered_max: 10 });
    for (let i = 0; i < 100; i++) {
      expect(await bounded(`Bearer ${hmacToken(hs256, { ...claims, sub: `b${i}` })}`)).toMatchObject({
        sub: `b${i}`,
      });
    }
  });
});

describe('with a key set', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed = generateKeyPairSync('ed25519');
  const keys = {
    keys: [
      { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa', alg: 'RS256', use: 'sig' },
      { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec', alg: 'ES256' },
      { ...ed.publicKey.export({ format: 'jwk' }), kid: 'ed', alg: 'EdDSA' },
    ],
  };
  let server: Server;
  let url: string;
  let fetched = 0;
  let authenticate: (header: string) => Caller | undefined | Promise<Caller | undefined>;

  beforeAll(async () => {
    server = createServer((_request, response) => {
      fetched += 1;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(keys));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    authenticate = createAuthenticate({ jwt_jwks_url: url });
  });
  afterAll(() => void server.close());

  it.each([
    ['RS256', 'rsa', rsa.privateKey],
    ['ES256', 'ec', ec.privateKey],
    ['EdDSA', 'ed', ed.privateKey],
  ])('%s counts, and is verified once', async (alg, kid, key) => {
    const header = `Bearer ${keyToken({ alg, kid } as never, claims, key)}`;
    expect(await authenticate(header)).toMatchObject({ sub: 'ada' });
    expect(authenticate(header)).toMatchObject({ sub: 'ada' });
    expect(fetched).toBe(1);
  });

  it.each(Object.keys(FORGED))('%s does not count', async (kind) => {
    expect(await authenticate(FORGED[kind])).toBeUndefined();
  });

  it('neither does a secret where keys are wanted, nor a key for another algorithm than its own', async () => {
    expect(await authenticate(`Bearer ${good}`)).toBeUndefined();
    const others = [
      keyToken({ alg: 'RS256', kid: 'ec' } as never, claims, rsa.privateKey),
      keyToken(
        { alg: 'RS256', kid: 'rsa' } as never,
        claims,
        generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
      ),
      hmacToken({ ...hs256, kid: 'rsa' }, claims, publicPem),
      keyToken({ alg: 'ES256', kid: 'unknown' } as never, claims, ec.privateKey),
      `${b64({ alg: 'PS256', kid: 'rsa' })}.${b64(claims)}.${randomBytes(256).toString('base64url')}`,
    ];
    for (const token of others) expect(await authenticate(`Bearer ${token}`)).toBeUndefined();
  });

  it('keys that cannot be fetched say nothing about a token', async () => {
    const away = createAuthenticate({ jwt_jwks_url: 'http://127.0.0.1:9/keys' });
    const token = keyToken({ alg: 'RS256', kid: 'rsa' } as never, claims, rsa.privateKey);
    await expect(away(`Bearer ${token}`)).rejects.toBeInstanceOf(KeysUnavailable);
  });

  it('both a secret and a key set: each token by its own', async () => {
    const both = createAuthenticate({ jwt_jwks_url: url, jwt_secret: SECRET });
    expect(await both(`Bearer ${good}`)).toMatchObject({ sub: 'ada' });
    expect(
      await both(`Bearer ${keyToken({ alg: 'ES256', kid: 'ec' } as never, claims, ec.privateKey)}`),
    ).toMatchObject({ sub: 'ada' });
    expect(await both(`Bearer ${hmacToken(hs256, claims, publicPem)}`)).toBeUndefined();
  });
});
