/**
 * What a simulated Redis holds: strings, hashes and streams, as Redis has them, with field names as latin1 text. A
 * copy of it is what an AOF of that moment would bring back.
 */
import type { RawEntry } from '../../../lua/entries.ts';

/** Counters are numbers, all else is text or bytes. */
export type Value = string | number | Buffer;
export type Hash = Map<string, Value>;

export type Keyspace = {
  strings: Map<string, string>;
  hashes: Map<string, Hash>;
  /** Entries are never changed, only added and dropped. */
  streams: Map<string, RawEntry[]>;
};

export function emptyKeyspace(): Keyspace {
  return { strings: new Map(), hashes: new Map(), streams: new Map() };
}

export function copyOf(keys: Keyspace): Keyspace {
  return {
    strings: new Map(keys.strings),
    hashes: new Map([...keys.hashes].map(([key, hash]) => [key, new Map(hash)])),
    streams: new Map([...keys.streams].map(([key, entries]) => [key, [...entries]])),
  };
}

/** The hash at a key, made if it is not there: for writing. */
export function hashAt(keys: Keyspace, key: string): Hash {
  let hash = keys.hashes.get(key);
  if (!hash) {
    hash = new Map();
    keys.hashes.set(key, hash);
  }
  return hash;
}

const NOTHING: Hash = new Map();

/** For reading. */
export function readHash(keys: Keyspace, key: string): ReadonlyMap<string, Value> {
  return keys.hashes.get(key) ?? NOTHING;
}

export const latin1 = (bytes: Buffer | string | number): string =>
  Buffer.isBuffer(bytes) ? bytes.toString('latin1') : String(bytes);

/** As Redis sends it. */
export const bulk = (value: Value): Buffer => (Buffer.isBuffer(value) ? value : Buffer.from(String(value)));
