/**
 * Typed calls of the atomic verbs: the only code that knows the order of KEYS and ARGV and the shape of
 * replies. Rules are in the .lua files; nothing is decided here.
 */
import type { Redis } from 'ioredis';
import { dayOf } from '../domain/ids.ts';
import { RECORD_WINDOW_DAYS, REDIS_CALL_TIMEOUT_MS } from '../domain/limits.ts';
import type { Gate } from '../domain/types.ts';
import { withTimeout } from '../platform/redis.ts';
import { decodeEntries, type RawEntry, type StreamEntry } from './entries.ts';
import { bucketKey, routeKey, type SalePlace, saleKeys } from './keys.ts';
import { pack, unpack } from './packing.ts';
import { loadScript } from './registry.ts';
import { type Reply, runScript } from './runner.ts';

export const SCRIPTS = {
  reserve: loadScript('reserve'),
  apply: loadScript('apply'),
  reduce: loadScript('reduce'),
  gate: loadScript('gate'),
  load_items: loadScript('load_items'),
  load: loadScript('load'),
  fence: loadScript('fence'),
  verify: loadScript('verify'),
  read: loadScript('read'),
} as const;

/** A sale's place and the epoch its caller believes in. */
export type SaleToken = SalePlace & { epoch: number };

/**
 * Why a verb did nothing. `missing`: Redis has no record of the sale. `recovering`: its memory is not checked.
 * `epoch`: the caller is behind, adopt epoch and generation and send again. `clock`: the caller's
 * clock is days off; `now_ms` is Redis's. `impossible` (apply only): the movements don't fit this memory; the
 * sale was fenced.
 */
export type Refusal = {
  kind: 'refused';
  reason: 'missing' | 'recovering' | 'epoch' | 'clock' | 'impossible';
  epoch: number;
  generation: number;
  now_ms?: number;
};

const text = (part: Reply): string => (Buffer.isBuffer(part) ? part.toString('utf8') : String(part));

function refusal(reply: Reply[]): Refusal | undefined {
  if (text(reply[0]) !== 'refused') return undefined;
  return {
    kind: 'refused',
    reason: text(reply[1]) as Refusal['reason'],
    epoch: Number(text(reply[2])),
    generation: Number(text(reply[3])),
    ...(reply.length > 4 ? { now_ms: Number(text(reply[4])) } : {}),
  };
}

/** Buckets around `now_ms`: enough that a clock one day off still finds the script's three days. */
function buckets(place: SalePlace, now_ms: number): { first_day: number; keys: string[] } {
  const first_day = dayOf(now_ms) - RECORD_WINDOW_DAYS;
  const keys: string[] = [];
  for (let day = first_day; day <= first_day + RECORD_WINDOW_DAYS + 1; day++)
    keys.push(bucketKey(place, day));
  return { first_day, keys };
}

// reserve ---------------------------------------------------------------------------------------

/** Columns of one batch, as reserve.lua states them; made by reserve-batch.ts. */
export type ReserveBatch = {
  hashes: Buffer;
  answers: Buffer;
  payloads: Buffer;
  /** Distinct SKUs of the batch. */
  skus: string[];
  /** Flat: count, (index into skus from 1, qty) * count, for each request. */
  lines: number[];
  answer_lengths: number[];
  payload_lengths: number[];
};

/** One character a request; meanings in reserve.lua. */
export type ReserveStatus = 'a' | 'r' | 'm' | 'k' | 't' | 'n' | 'c' | 'p' | 'l' | 's' | 'h' | 'u' | 'w';

export type ReserveReply = {
  kind: 'done';
  now_ms: number;
  today: number;
  hold_ms: number;
  /** Deadline of the oldest hold, 0 when nothing is held. */
  earliest_ms: number;
  limit: number;
  statuses: string;
  extras: Buffer[];
};

export async function reserve(
  redis: Redis,
  sale: SaleToken,
  batch: ReserveBatch,
  times: { now_ms: number; not_after_ms: number },
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<ReserveReply | Refusal> {
  const k = saleKeys(sale);
  const days = buckets(sale, times.now_ms);
  const { hashes, answers, payloads } = batch;
  const packed = pack([batch.skus, batch.lines, batch.answer_lengths, batch.payload_lengths]);
  const reply = await runScript(
    redis,
    SCRIPTS.reserve,
    [k.record, k.available, k.held, k.buyers, k.stream, ...days.keys],
    [sale.epoch, sale.generation, days.first_day, times.not_after_ms, hashes, answers, payloads, packed],
    timeout_ms,
  );
  return (
    refusal(reply) ?? {
      kind: 'done',
      now_ms: Number(text(reply[1])),
      today: Number(text(reply[2])),
      hold_ms: Number(text(reply[3])),
      earliest_ms: Number(text(reply[4])),
      limit: Number(text(reply[5])),
      statuses: text(reply[6]),
      extras: reply[7] as Buffer[],
    }
  );
}

// apply, reduce, gate ---------------------------------------------------------------------------

/** One sealed batch of movements. Quantities >= 0; each SKU and each buyer once. */
export type MovementBatch = {
  n: number;
  items: readonly { sku: string; to_available: number; from_held: number }[];
  buyers: readonly { buyer_hash: Buffer; units: number }[];
  /** Deadline of the oldest hold in the ledger by the Redis clock, 0 if none. */
  earliest_ms: number;
};

export async function apply(
  redis: Redis,
  sale: SaleToken,
  batch: MovementBatch,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<{ kind: 'applied' | 'already' } | Refusal> {
  const k = saleKeys(sale);
  const packed = pack([
    batch.items.map((item) => item.sku),
    batch.items.map((item) => item.to_available),
    batch.items.map((item) => item.from_held),
    batch.buyers.map((buyer) => buyer.units),
  ]);
  const buyers = Buffer.concat(batch.buyers.map((buyer) => buyer.buyer_hash));
  const reply = await runScript(
    redis,
    SCRIPTS.apply,
    [k.record, k.available, k.held, k.buyers, k.stream],
    [sale.epoch, sale.generation, batch.n, Math.round(batch.earliest_ms), buyers, packed],
    timeout_ms,
  );
  return refusal(reply) ?? { kind: text(reply[0]) as 'applied' | 'already' };
}

export type ReduceRequest = {
  /** 16 bytes (domain/ids.ts requestHash) and 16 bytes of fingerprint. */
  id: Buffer;
  fingerprint: Buffer;
  request_id: string;
  /** Each SKU once. */
  items: readonly { sku: string; qty: number }[];
};

export async function reduce(
  redis: Redis,
  sale: SaleToken,
  request: ReduceRequest,
  now_ms: number,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<
  | { kind: 'taken' | 'replay'; taken: { sku: string; qty: number }[] }
  | { kind: 'mismatch' | 'unknown_sku' }
  | Refusal
> {
  const k = saleKeys(sale);
  const days = buckets(sale, now_ms);
  const packed = pack([request.items.map((item) => item.sku), request.items.map((item) => item.qty)]);
  const reply = await runScript(
    redis,
    SCRIPTS.reduce,
    [k.record, k.available, k.held, k.stream, ...days.keys],
    [
      sale.epoch,
      sale.generation,
      days.first_day,
      request.id,
      request.fingerprint,
      request.request_id,
      packed,
    ],
    timeout_ms,
  );
  const refused = refusal(reply);
  if (refused) return refused;
  const kind = text(reply[0]) as 'taken' | 'replay' | 'mismatch' | 'unknown_sku';
  if (kind === 'mismatch' || kind === 'unknown_sku') return { kind };
  return { kind, taken: request.items.map(({ sku }, i) => ({ sku, qty: Number(text(reply[i + 1])) })) };
}

export async function gate(
  redis: Redis,
  sale: SaleToken,
  wanted: { version: number; gate: Gate },
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<{ kind: 'set' | 'already' } | Refusal> {
  const k = saleKeys(sale);
  const args = [sale.epoch, sale.generation, wanted.version, wanted.gate];
  const reply = await runScript(redis, SCRIPTS.gate, [k.record, k.stream], args, timeout_ms);
  return refusal(reply) ?? { kind: text(reply[0]) as 'set' | 'already' };
}

// load ------------------------------------------------------------------------------------------

export type LoadItem = { sku: string; position: number; name: string; unit_price: number; qty: number };

/** Stages at most LOAD_ITEMS_MAX SKUs of a sale that is not loaded. Safe to repeat. */
export async function loadItems(
  redis: Redis,
  place: SalePlace,
  items: readonly LoadItem[],
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'staged' | 'exists'> {
  const k = saleKeys(place);
  const packed = pack([
    items.map((item) => item.sku),
    items.map((item) => item.qty),
    items.map((item) => [item.position, item.name, item.unit_price]),
  ]);
  const keys = [k.record, k.available, k.held, k.catalog];
  const reply = await runScript(redis, SCRIPTS.load_items, keys, [packed], timeout_ms);
  return text(reply[0]) as 'staged' | 'exists';
}

/** What the record of a sale holds besides its counters. Times in ms since 1970, 0 for none. */
export type SaleFields = {
  gate: Gate;
  gate_version: number;
  opens_at_ms: number;
  closes_at_ms: number;
  hold_ms: number;
  limit: number;
  salt: Buffer;
  route: Buffer;
  currency: string;
};

/** Name, value, name, value ... */
export function flatFields(fields: Readonly<Record<string, string | number | Buffer>>): (string | Buffer)[] {
  return Object.entries(fields).flatMap(([name, value]) => [
    name,
    Buffer.isBuffer(value) ? value : String(value),
  ]);
}

/** Makes the sale's record, recovery gate closed. Safe to repeat. */
export async function load(
  redis: Redis,
  sale: SaleToken,
  fields: SaleFields,
  /** How many SKUs `loadItems` has written. */
  items: number,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'loaded' | 'exists' | 'incomplete'> {
  const k = saleKeys(sale);
  await withTimeout(redis.set(routeKey(fields.route), `${sale.tenant}:${sale.sale}`), timeout_ms);
  const flat_fields = flatFields(fields);
  const keys = [k.record, k.stream, k.available, k.held, k.catalog];
  const args = [sale.epoch, sale.generation, items, ...flat_fields];
  const reply = await runScript(redis, SCRIPTS.load, keys, args, timeout_ms);
  return text(reply[0]) as 'loaded' | 'exists' | 'incomplete';
}

// fence, verify, read ---------------------------------------------------------------------------

export async function fence(
  redis: Redis,
  place: SalePlace,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'fenced' | 'missing'> {
  const reply = await runScript(redis, SCRIPTS.fence, [saleKeys(place).record], [], timeout_ms);
  return text(reply[0]) as 'fenced' | 'missing';
}

/** What the reconciler has looked at and found right. */
export type Verified = { old_epoch: number; seq: number; applied_n: number; identity_now: string };

/** What the ledger gives a sale that is opened: its new epoch, and the operator's gate. */
export type Opening = { epoch: number; gate: Gate; gate_version: number };

/** Reopens the sale under the new epoch if it still is what was verified, with the gate as the ledger has it. */
export async function verifyOpen(
  redis: Redis,
  place: SalePlace,
  verified: Verified,
  opening: Opening,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'opened' | 'changed' | 'missing'> {
  const { old_epoch, seq, applied_n, identity_now } = verified;
  const k = saleKeys(place);
  const reply = await runScript(
    redis,
    SCRIPTS.verify,
    [k.record, k.stream],
    [old_epoch, seq, applied_n, identity_now, opening.epoch, opening.gate_version, opening.gate],
    timeout_ms,
  );
  return text(reply[0]) as 'opened' | 'changed' | 'missing';
}

export type Chunk = {
  kind: 'chunk';
  now_ms: number;
  /** Of the process that answered. */
  identity_now: string;
  /** From the record. */
  epoch: number;
  generation: number;
  identity: string;
  seq: number;
  applied_n: number;
  gate: Gate;
  gate_version: number;
  recovery: 'open' | 'recovering';
  entries: StreamEntry[];
};

/**
 * The sale's record and at most `count` entries after `after_seq`. An entry that can't be read ends the
 * list before it; where it would be the first, this throws UndecodableEntry.
 */
export async function readChunk(
  redis: Redis,
  place: SalePlace & { route: Buffer },
  from: { after_seq: number; count: number },
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<Chunk | { kind: 'missing'; now_ms: number; identity_now: string }> {
  const k = saleKeys(place);
  const reply = await runScript(
    redis,
    SCRIPTS.read,
    [k.record, k.stream],
    [from.after_seq, from.count],
    timeout_ms,
  );
  const now_ms = Number(text(reply[0]));
  const identity_now = text(reply[1]);
  const flat = reply[2] as Buffer[];
  if (flat.length === 0) return { kind: 'missing', now_ms, identity_now };
  const fields: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) fields[text(flat[i])] = text(flat[i + 1]);
  return {
    kind: 'chunk',
    now_ms,
    identity_now,
    epoch: Number(fields.epoch),
    generation: Number(fields.generation),
    identity: fields.identity,
    seq: Number(fields.seq),
    applied_n: Number(fields.applied_n),
    gate: fields.gate as Gate,
    gate_version: Number(fields.gate_version),
    recovery: fields.recovery as Chunk['recovery'],
    entries: decodeEntries(reply[3] as unknown as RawEntry[], place.route),
  };
}

/** Drops the entries before `seq`. The caller sees to it that they are below the ledger's cursor. */
export async function trim(
  redis: Redis,
  place: SalePlace,
  seq: number,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<number> {
  return withTimeout(redis.xtrim(saleKeys(place).stream, 'MINID', `${seq}-0`), timeout_ms);
}

/** A catalog value as `loadItems` wrote it. */
export function decodeCatalogItem(bytes: Buffer): { position: number; name: string; unit_price: number } {
  const [position, name, unit_price] = unpack(bytes) as [number, string, number];
  return { position, name, unit_price };
}
