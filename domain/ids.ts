/**
 * Ids of orders and buyers. An order id says where its reservation lies and nothing else: 24 bytes in
 * base64url, 32 characters of A-Za-z0-9_-.
 *
 *     route (6 bytes)  the sale, a random number issued by the ledger
 *     day   (2 bytes)  days since 1970-01-01 UTC at the first take, by the Redis clock
 *     hash  (16 bytes) SHA-256(salt | tenant | sale | buyer | key), cut
 *
 * The salt is the sale's own secret, so an id can't be guessed, and is the same for a retry on any
 * engine. Cutting the digest in half is what makes a prefix salt safe (no length extension).
 */
import { DIGEST_BYTES, digest } from './digest.ts';

export const ROUTE_BYTES = 6;
export const HASH_BYTES = DIGEST_BYTES;
export const SALT_BYTES = 32;
const DAY_MS = 86_400_000;
const ORDER_ID = /^[A-Za-z0-9_-]{32}$/;

export type OrderIdParts = { route: Buffer; day: number; hash: Buffer };

/** Sale, SKU and tenant ids. */
export const NAME_PATTERN = '^[A-Za-z0-9._-]{1,64}$';
const NAME = new RegExp(NAME_PATTERN);

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** What is hashed is put together here: a hash a request is no reason for a Buffer a request. */
const scratch = Buffer.allocUnsafe(4_096);

function shortHash(salt: Buffer, parts: readonly string[]): Buffer {
  const text = listed(parts);
  const length = salt.copy(scratch) + scratch.write(text, salt.length);
  if (length < salt.length + text.length) throw new Error('too long for an id');
  return digest(scratch.subarray(0, length));
}

/** Each part carries its length in bytes, so that no two lists of parts read the same. */
function listed(parts: readonly string[]): string {
  let text = '';
  for (const part of parts) text += `${part.length}:${part}`;
  if (Buffer.byteLength(text) === text.length) return text;
  text = '';
  for (const part of parts) text += `${Buffer.byteLength(part)}:${part}`;
  return text;
}

/** 128 bits that name a request (tenant, sale, buyer, Idempotency-Key) for ever. */
export function requestHash(salt: Buffer, tenant: string, sale: string, buyer: string, key: string): Buffer {
  return shortHash(salt, ['order', tenant, sale, buyer, key]);
}

/** 128 bits that stand for a buyer within a sale: ownership and the purchase limit. */
export function buyerHash(salt: Buffer, buyer: string): Buffer {
  return shortHash(salt, ['buyer', buyer]);
}

/** 112 bits are enough to tell a sale's buyers apart, and take Redis half the memory of 128 (lua/lib/limit.lua). */
export const LIMIT_COUNTER_BYTES = 14;

/** The name under which Redis counts what a buyer has of a sale. */
export function limitCounter(buyer_hash: Buffer): Buffer {
  return buyer_hash.subarray(0, LIMIT_COUNTER_BYTES);
}

/** Days since 1970-01-01 UTC. */
export function dayOf(time_ms: number): number {
  return Math.floor(time_ms / DAY_MS);
}

export function encodeOrderId(parts: OrderIdParts): string {
  const bytes = Buffer.allocUnsafe(ROUTE_BYTES + 2 + HASH_BYTES);
  parts.route.copy(bytes, 0);
  bytes.writeUInt16BE(parts.day, ROUTE_BYTES);
  parts.hash.copy(bytes, ROUTE_BYTES + 2);
  return bytes.toString('base64url');
}

/** The parts of an order id, or undefined if the text is none. */
export function decodeOrderId(id: string): OrderIdParts | undefined {
  if (!ORDER_ID.test(id)) return undefined;
  const bytes = Buffer.from(id, 'base64url');
  return {
    route: bytes.subarray(0, ROUTE_BYTES),
    day: bytes.readUInt16BE(ROUTE_BYTES),
    hash: bytes.subarray(ROUTE_BYTES + 2),
  };
}
