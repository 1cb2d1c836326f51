import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, requestFingerprint } from './fingerprint.ts';
import { buyerHash, dayOf, decodeOrderId, encodeOrderId, requestHash } from './ids.ts';

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));

test('an order id is 32 characters of A-Za-z0-9_- and says what it was made of', () => {
  fc.assert(
    fc.property(bytes(6), fc.integer({ min: 0, max: 65_535 }), bytes(16), (route, day, hash) => {
      const id = encodeOrderId({ route, day, hash });
      expect(id).toMatch(/^[A-Za-z0-9_-]{32}$/);
      expect(decodeOrderId(id)).toEqual({ route, day, hash });
    }),
  );
});

test('what is no order id is none', () => {
  for (const text of ['', 'x', 'A'.repeat(31), 'A'.repeat(33), `${'A'.repeat(31)}.`, `${'A'.repeat(31)}=`]) {
    expect(decodeOrderId(text)).toBeUndefined();
  }
});

test('the hash of a request depends on every part, and parts do not run into each other', () => {
  const salt = randomBytes(32);
  const hashes = [
    requestHash(salt, 't', 's', 'b', 'k'),
    requestHash(randomBytes(32), 't', 's', 'b', 'k'),
    requestHash(salt, 'ts', '', 'b', 'k'),
    requestHash(salt, 't', 's', 'bk', ''),
    requestHash(salt, 't', 's', 'b', 'K'),
    buyerHash(salt, 'b'),
  ].map((hash) => hash.toString('hex'));
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(requestHash(salt, 't', 's', 'b', 'k').toString('hex')).toBe(hashes[0]);
});

test('a fingerprint does not depend on the order of keys, but on everything else', () => {
  const body = { sale_id: 's', items: [{ sku: 'a', qty: 1 }, { sku: 'b', qty: 2 }] }; // biome-ignore format: one line
  const same = { items: [{ qty: 1, sku: 'a' }, { qty: 2, sku: 'b' }], sale_id: 's' }; // biome-ignore format: one line
  const print = (value: typeof body, target = 'POST /v1/checkout') =>
    requestFingerprint(target, value).toString('hex');
  expect(print(same)).toBe(print(body));
  expect(print({ ...body, items: [...body.items].reverse() })).not.toBe(print(body));
  expect(print(body, 'POST /v1/inventory/lock')).not.toBe(print(body));
  expect(canonicalJson({ b: undefined, a: null, c: ['x', 1, true] })).toBe('{"a":null,"c":["x",1,true]}');
});

test('canonical JSON is JSON with its keys in order', () => {
  const inOrder = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(inOrder)
      : value && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .map(([key, member]) => [`k${key}`, inOrder(member)])
              .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
          )
        : value;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const sorted = inOrder(value);
      expect(canonicalJson(sorted as never)).toBe(JSON.stringify(sorted));
    }),
  );
  const shuffled = { b: { z: '"\\', y: ['\ud800', '\u0001'] }, a: -0.5 };
  expect(canonicalJson(shuffled)).toBe('{"a":-0.5,"b":{"y":["\\ud800","\\u0001"],"z":"\\"\\\\"}}');
});

test('days begin at midnight UTC', () => {
  expect(dayOf(Date.UTC(1970, 0, 1))).toBe(0);
  expect(dayOf(Date.UTC(2026, 0, 2) - 1)).toBe(dayOf(Date.UTC(2026, 0, 1)));
  expect(dayOf(Date.UTC(2026, 0, 2))).toBe(dayOf(Date.UTC(2026, 0, 1)) + 1);
});
