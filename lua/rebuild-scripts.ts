/**
 * Typed calls of the verbs that rebuild a sale: claim it, stage its next generation beside the one in use, switch. As
 * in scripts.ts, nothing is decided here.
 */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../domain/limits.ts';
import { withTimeout } from '../platform/redis.ts';
import { decodeEntries, type RawEntry, type StreamEntry } from './entries.ts';
import { bucketKey, routeKey, type SalePlace, saleKeys } from './keys.ts';
import { pack } from './packing.ts';
import { loadScript } from './registry.ts';
import { type Reply, runScript } from './runner.ts';
import { flatFields, type SaleFields, type SaleToken } from './scripts.ts';

export const REBUILD_SCRIPTS = {
  claim: loadScript('claim'),
  stage_begin: loadScript('stage_begin'),
  stage: loadScript('stage'),
  switch: loadScript('switch'),
} as const;

const text = (part: Reply): string => (Buffer.isBuffer(part) ? part.toString('utf8') : String(part));

/** What Redis holds of the sale when a rebuild begins. `now_ms` by its clock. */
export type Claim =
  | { kind: 'claimed'; now_ms: number; identity: string; seq: number; generation: number }
  | { kind: 'missing'; now_ms: number; identity: string }
  | { kind: 'foreign' }
  | { kind: 'late' };

/** Closes the recovery gate under `epoch`: no verification that began before can open the sale any more. */
export async function claim(
  redis: Redis,
  sale: SaleToken & { route: Buffer },
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<Claim> {
  const keys = [saleKeys(sale).record];
  const args = [sale.epoch, sale.route];
  const reply = await runScript(redis, REBUILD_SCRIPTS.claim, keys, args, timeout_ms);
  const kind = text(reply[0]) as Claim['kind'];
  if (kind === 'foreign' || kind === 'late') return { kind };
  const seen = { now_ms: Number(text(reply[1])), identity: text(reply[2]) };
  if (kind === 'missing') return { kind, ...seen };
  return { kind, ...seen, seq: Number(text(reply[3])), generation: Number(text(reply[4])) };
}

/** Entries of a stream as it lies there, whether there is a record or not. Throws as readChunk. */
export async function readEntries(
  redis: Redis,
  place: SalePlace & { route: Buffer },
  from: { after_seq: number; count: number },
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<StreamEntry[]> {
  const first = `${from.after_seq + 1}-0`;
  const call = redis.xrangeBuffer(saleKeys(place).stream, first, '+', 'COUNT', from.count);
  return decodeEntries((await withTimeout(call, timeout_ms)) as RawEntry[], place.route);
}

/** What may be staged: a hash of the generation, or the records of one day. */
export type StageTarget = 'available' | 'held' | 'catalog' | 'buyers' | { day: number };

function targetKey(place: SalePlace, target: StageTarget): string {
  return typeof target === 'string' ? saleKeys(place)[target] : bucketKey(place, target.day);
}

/** A generation that never becomes the sale is gone after this, ms. */
const STAGED_EXPIRE_MS = 3_600_000;

/** `sale`: the generation to be and the epoch it gets. Empties its keys. Tells which process it is. */
export async function stageBegin(
  redis: Redis,
  sale: SaleToken,
  days: readonly number[],
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<{ kind: 'begun'; identity: string } | { kind: 'late' }> {
  const k = saleKeys(sale);
  const targets = [k.available, k.held, k.catalog, k.buyers, k.stream];
  for (const day of days) targets.push(bucketKey(sale, day));
  const expire_ms = STAGED_EXPIRE_MS;
  const reply = await runScript(
    redis,
    REBUILD_SCRIPTS.stage_begin,
    [k.record, k.marker, ...targets],
    [sale.epoch, expire_ms],
    timeout_ms,
  );
  const kind = text(reply[0]) as 'begun' | 'late';
  return kind === 'late' ? { kind } : { kind, identity: text(reply[1]) };
}

/** `flat_fields`: name, value, name, value ..., at most STAGE_ROWS_MAX of them. Safe to repeat. */
export async function stage(
  redis: Redis,
  sale: SaleToken,
  target_name: StageTarget,
  flat_fields: readonly (string | number | Buffer)[],
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'staged' | 'gone'> {
  const marker = saleKeys(sale).marker;
  const target = targetKey(sale, target_name);
  const expire_ms = STAGED_EXPIRE_MS;
  const args = [sale.epoch, expire_ms, ...flat_fields];
  const reply = await runScript(redis, REBUILD_SCRIPTS.stage, [marker, target], args, timeout_ms);
  return text(reply[0]) as 'staged' | 'gone';
}

export type SwitchOver = {
  /** Of the process claimed and staged into. */
  identity_now: string;
  /** Of the record that was drained, undefined if there was none. */
  old_seq: number | undefined;
  /** The sequence goes on from here. */
  start_seq: number;
  applied_n: number;
  fields: SaleFields & { earliest_ms: number };
  /** Fields staged. */
  counts: { available: number; held: number; catalog: number; buyers: number };
  /** Records staged, by day; consecutive days, those without any included. */
  days: readonly { day: number; records: number }[];
};

export async function switchOver(
  redis: Redis,
  sale: SaleToken,
  over: SwitchOver,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<'switched' | 'already' | 'late' | 'changed' | 'gone'> {
  const k = saleKeys(sale);
  await withTimeout(redis.set(routeKey(over.fields.route), `${sale.tenant}:${sale.sale}`), timeout_ms);
  const buckets = { keys: over.days.map(({ day }) => bucketKey(sale, day)) };
  const { available, held, catalog, buyers } = over.counts;
  const counts = pack([available, held, catalog, buyers, ...over.days.map(({ records }) => records)]);
  const first_day = over.days[0].day;
  const old_seq = over.old_seq ?? '';
  const flat_fields = flatFields(over.fields);
  const reply = await runScript(
    redis,
    REBUILD_SCRIPTS.switch,
    [k.record, k.marker, k.available, k.held, k.catalog, k.buyers, k.stream, ...buckets.keys],
    [
      sale.epoch,
      sale.generation,
      over.identity_now,
      old_seq,
      over.start_seq,
      over.applied_n,
      first_day,
      counts,
      ...flat_fields,
    ],
    timeout_ms,
  );
  return text(reply[0]) as 'switched' | 'already' | 'late' | 'changed' | 'gone';
}

/** Does this generation have a stream? */
export async function hasStream(
  redis: Redis,
  place: SalePlace,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<boolean> {
  return (await withTimeout(redis.exists(saleKeys(place).stream), timeout_ms)) === 1;
}

/**
 * Frees what a generation that is not in use any more held. Its stream stays for `keep_stream_ms`: a ledger
 * restored from an earlier copy reads on there.
 */
export async function dropGeneration(
  redis: Redis,
  place: SalePlace,
  days: readonly number[],
  keep_stream_ms: number,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<void> {
  const k = saleKeys(place);
  const buckets = days.map((day) => bucketKey(place, day));
  await withTimeout(redis.unlink(k.available, k.held, k.catalog, k.buyers, k.marker, ...buckets), timeout_ms);
  await withTimeout(redis.pexpire(k.stream, keep_stream_ms, 'NX'), timeout_ms);
}
