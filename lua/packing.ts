/**
 * MessagePack as both sides of a script speak it: plain maps and arrays that cmsgpack reads, and 64-bit
 * integers as numbers (every integer of ours is far below 2^53).
 */
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false, int64AsType: 'number', mapsAsObjects: true });

export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** The one value in `bytes`. Throws on anything else. */
export function unpack(bytes: Buffer): unknown {
  return packr.unpack(bytes);
}

/** The values that stand one after another in `bytes`. */
export function unpackAll(bytes: Buffer): unknown[] {
  return packr.unpackMultiple(bytes) as unknown[];
}
