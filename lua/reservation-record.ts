/**
 * The record of a reservation in Redis: what a replay and an early look at the order need, in as few bytes
 * as possible (it is kept for days). Written once, by reserve.lua, which also states the layout:
 *
 *     fingerprint 16 | buyer hash 16 | time of the take, ms 6 | hold, ms 4 | answer
 *
 * The answer is the engine's: MessagePack [road, discount, shipping, tax, (position, qty, unit_price)*],
 * lines by the SKU's position in the sale instead of its name.
 */
import { type Amounts, priceOrder } from '../domain/pricing.ts';
import type { PricedLine, Road } from '../domain/types.ts';
import { pack, unpack } from './packing.ts';

const ROADS = ['checkout', 'lock'] as const satisfies readonly Road[];
const STAMP_AT = 32;
const ANSWER_AT = 42;

export type ReservationRecord = {
  fingerprint: Buffer;
  buyer_hash: Buffer;
  reserved_at_ms: number;
  hold_ms: number;
  road: Road;
  lines: PricedLine[];
  amounts: Amounts;
};

/** The sale's SKUs by position. */
export type SkuNames = { currency: string; skus: readonly string[] };

/** `positions[i]` is the position of `lines[i].sku` in the sale. */
export function encodeAnswer(
  road: Road,
  amounts: Pick<Amounts, 'discount' | 'shipping' | 'tax'>,
  lines: readonly PricedLine[],
  positions: readonly number[],
): Buffer {
  const flat: number[] = [ROADS.indexOf(road), amounts.discount, amounts.shipping, amounts.tax];
  for (let i = 0; i < lines.length; i++) flat.push(positions[i], lines[i].qty, lines[i].unit_price);
  return pack(flat);
}

/**
 * A record as reserve.lua writes it. `hashes`: fingerprint and buyer hash in hex, one after the other: a rebuild makes a
 * million of these, and every Buffer less counts.
 */
export function encodeRecord(record: {
  hashes: string;
  reserved_at_ms: number;
  hold_ms: number;
  answer: Buffer;
}): Buffer {
  const bytes = Buffer.allocUnsafe(ANSWER_AT + record.answer.length);
  if (bytes.write(record.hashes, 0, STAMP_AT, 'hex') !== STAMP_AT)
    throw new Error('a record without its hashes');
  bytes.writeUIntBE(record.reserved_at_ms, STAMP_AT, 6);
  bytes.writeUInt32BE(record.hold_ms, STAMP_AT + 6);
  record.answer.copy(bytes, ANSWER_AT);
  return bytes;
}

/** The fingerprint of the request that a record is of. */
export function fingerprintOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, 16);
}

/** Throws on bytes that are no record. */
export function decodeRecord(bytes: Buffer, sale: SkuNames): ReservationRecord {
  const flat = unpack(bytes.subarray(ANSWER_AT)) as number[];
  const [road, discount, shipping, tax] = flat;
  const lines: PricedLine[] = [];
  for (let i = 4; i < flat.length; i += 3) {
    lines.push({ sku: sale.skus[flat[i]], qty: flat[i + 1], unit_price: flat[i + 2] });
  }
  return {
    fingerprint: fingerprintOf(bytes),
    buyer_hash: bytes.subarray(16, STAMP_AT),
    reserved_at_ms: bytes.readUIntBE(STAMP_AT, 6),
    hold_ms: bytes.readUInt32BE(STAMP_AT + 6),
    road: ROADS[road],
    lines,
    amounts: priceOrder(sale.currency, lines, { discount, shipping, tax }),
  };
}
