/**
 * Rebuilds a sale's memory in Redis from the ledger (docs/rebuild.md). One attempt goes
 *
 *     begin    an epoch of its own in the ledger: nobody who looked before can open the sale or move its cursor
 *     claim    the same in Redis, recovery gate closed: nothing is taken any more
 *     drain    what Redis acknowledged and the ledger does not have
 *     seal     the state to rebuild: movements, counters, cursor and a snapshot of the orders, at one moment; committed
 *     stage    the next generation beside the one in use
 *     switch   one script; the record is the new one, its recovery gate still closed
 *     finish   old keys go, the ledger notes the end; verification opens the sale
 *
 * and may end anywhere. The next attempt begins from the beginning with an epoch and a generation of its own; whatever
 * an earlier one does late meets a higher epoch in either store and changes nothing. An attempt that died after the
 * switch is recognised, and finished.
 */
import type { Redis } from 'ioredis';
import { dayOf } from '../../domain/ids.ts';
import { RECORD_TTL_DAYS, REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { earliestHold } from '../../ledger/movements/read-batch.ts';
import { type BegunRebuild, beginRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import {
  finishRebuild,
  noteDrained,
  noteFailed,
  noteProgress,
  type RebuildAttempt,
} from '../../ledger/rebuild/progress.ts';
import { type SealedSale, withSealedSale } from '../../ledger/rebuild/seal-sale.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { UndecodableEntry } from '../../lua/entries.ts';
import { type Claim, claim, dropGeneration, stageBegin, switchOver } from '../../lua/rebuild-scripts.ts';
import { readChunk } from '../../lua/scripts.ts';
import type { Queryable } from '../../platform/postgres.ts';
import { timeMs, withTimeout } from '../../platform/redis.ts';
import { HEALED_BY_REBUILD } from '../fence-reasons.ts';
import type { FollowDeps } from '../ingest/follow-sale.ts';
import { fieldsOf, placeOf } from '../sale-place.ts';
import { drainSale } from './drain-sale.ts';
import { replayDays, StagingLost, stageSale } from './stage-sale.ts';

export type Rebuilt =
  | { kind: 'rebuilt' }
  /** Something changed meanwhile, or what was staged is lost: once more, from the beginning. */
  | { kind: 'again'; why: string }
  /** It must not be rebuilt: somebody has to act. */
  | { kind: 'refused'; reason: 'foreign_record' | 'undecodable_entry' };

type Claimed = Exclude<Claim, { kind: 'foreign' | 'late' }>;

const TRIM_AGE_MS = 3_600_000;
const PROGRESS_EVERY_MS = 500;
const GENERATIONS_DROPPED_MAX = 64;

/** Throws when Redis or the ledger is away, and CursorMoved when somebody else is at it: call again then. */
export async function rebuildSale(
  deps: FollowDeps,
  saleNo: number,
  why: { reason: string; actor: string },
): Promise<Rebuilt> {
  const done = deps.metrics.rebuildSeconds.startTimer();
  const result = await rebuild(deps, saleNo, why);
  if (result.kind === 'rebuilt') done();
  deps.metrics.rebuilds.inc({ result: result.kind === 'rebuilt' ? 'done' : result.kind });
  return result;
}

async function rebuild(
  deps: FollowDeps,
  saleNo: number,
  why: { reason: string; actor: string },
): Promise<Rebuilt> {
  const { db, redis } = deps;
  const before = await followedSale(db, saleNo);
  const record = await lookAtRecord(redis, before);
  if (record && isSwitched(before, record)) return finish(deps, before);
  const seen = { epoch: before.epoch, record_epoch: record?.epoch ?? 0 };
  const begun = await beginRebuild(db, saleNo, why, seen);
  if (!begun) return { kind: 'again', why: 'another epoch was issued' };
  const attempt: RebuildAttempt = { id: begun.id, epoch: begun.epoch };
  const sale = await followedSale(db, saleNo);
  if (sale.epoch !== begun.epoch) return { kind: 'again', why: 'another epoch was issued' };
  try {
    const result = await attemptRebuild(deps, sale, begun, attempt);
    if (result.kind === 'again') await noteFailed(db, attempt, result.why);
    if (result.kind === 'refused') await noteFailed(db, attempt, result.reason);
    return result;
  } catch (error) {
    // Told if it can be; the error itself goes on.
    await noteFailed(db, attempt, String((error as Error).message)).catch(() => {});
    throw error;
  }
}

async function attemptRebuild(
  deps: FollowDeps,
  sale: FollowedSale,
  begun: BegunRebuild,
  attempt: RebuildAttempt,
): Promise<Rebuilt> {
  const { db, redis, log } = deps;
  const { tenant, sale: id, sale_no } = sale;
  log.warn({ tenant, sale: id, seq: sale.seq, ...begun }, 'rebuilding the sale in Redis from the ledger');
  const claimed = await claim(redis, placeOf(sale));
  if (claimed.kind === 'foreign') return { kind: 'refused', reason: 'foreign_record' };
  if (claimed.kind === 'late') return { kind: 'again', why: 'the record has a higher epoch' };
  const drained = await drain(deps, sale, claimed, begun.from_generation, attempt);
  if (drained === 'undecodable') return { kind: 'refused', reason: 'undecodable_entry' };

  await noteProgress(db, attempt, { phase: 'sealing', rows_total: 0, rows_staged: 0 });
  const old = claimed.kind === 'claimed' ? claimed : undefined;
  const at = { ...attempt, record_seq: old?.seq ?? 0, record_generation: old?.generation ?? 0 };
  return withSealedSale(db, sale_no, at, async (sealed, snapshot) => {
    attempt.epoch = sealed.epoch;
    return stageAndSwitch(deps, sale, claimed, sealed, snapshot, attempt);
  });
}

async function drain(
  deps: FollowDeps,
  sale: FollowedSale,
  claimed: Claimed,
  from_generation: number,
  attempt: RebuildAttempt,
): Promise<FollowedSale | 'undecodable'> {
  const { db, metrics } = deps;
  const onChunk: Parameters<typeof drainSale>[0]['onChunk'] = async (plan, { read, lost }) => {
    const orders = plan.orders.length;
    metrics.ingestOrders.inc({ result: 'reserved' }, orders - plan.rejected);
    if (plan.rejected > 0) metrics.ingestOrders.inc({ result: 'rejected' }, plan.rejected);
    if (plan.replayed > 0) metrics.ingestOrders.inc({ result: 'replayed' }, plan.replayed);
    metrics.oversellPrevented.inc(plan.rejected);
    metrics.positionsLost.inc(lost);
    await noteDrained(db, attempt, { entries: read, orders, entries_lost: lost });
  };
  const generation = claimed.kind === 'claimed' ? claimed.generation : undefined;
  try {
    const drained = await drainSale({ ...deps, onChunk }, sale, from_generation, generation, claimed.now_ms);
    // What the record counts beyond its stream is lost, and its numbers are not used again.
    const lost = claimed.kind === 'claimed' ? Math.max(0, claimed.seq - drained.seq) : 0;
    metrics.positionsLost.inc(lost);
    if (lost > 0) await noteDrained(db, attempt, { entries: 0, orders: 0, entries_lost: lost });
    return drained;
  } catch (error) {
    if (!(error instanceof UndecodableEntry)) throw error;
    return 'undecodable';
  }
}

async function stageAndSwitch(
  deps: FollowDeps,
  sale: FollowedSale,
  claimed: Claimed,
  sealed: SealedSale,
  snapshot: Queryable,
  attempt: RebuildAttempt,
): Promise<Rebuilt> {
  const { db, redis } = deps;
  const { epoch, generation } = sealed;
  const token = { ...placeOf(sale), epoch, generation };
  const days = replayDays(claimed.now_ms);
  const begun = await stageBegin(redis, token, days);
  if (begun.kind === 'late') return { kind: 'again', why: 'the record has a higher epoch' };
  if (begun.identity !== claimed.identity) return { kind: 'again', why: 'Redis was restarted' };

  let rows = { rows_total: 0, rows_staged: 0 };
  let noted_at_ms = 0;
  const onProgress = (now: typeof rows) => {
    rows = now;
    if (performance.now() - noted_at_ms < PROGRESS_EVERY_MS) return;
    noted_at_ms = performance.now();
    noteProgress(db, attempt, { phase: 'staging', ...now }).catch(() => {});
  };
  let staged: Awaited<ReturnType<typeof stageSale>>;
  try {
    staged = await stageSale({ redis, snapshot, token, sale, sealed, days, onProgress });
  } catch (error) {
    if (!(error instanceof StagingLost)) throw error;
    return { kind: 'again', why: error.message };
  }
  await noteProgress(db, attempt, { phase: 'switching', ...rows });
  const { gate, gate_version, n, start_seq } = sealed;
  const in_ms = await earliestHold(db, sale.sale_no);
  const fields = {
    ...fieldsOf(sale),
    gate,
    gate_version,
    earliest_ms: in_ms === undefined ? 0 : Math.round(claimed.now_ms + Math.max(0, in_ms)),
  };
  const switched = await switchOver(redis, token, {
    identity_now: claimed.identity,
    old_seq: claimed.kind === 'claimed' ? claimed.seq : undefined,
    start_seq,
    applied_n: n,
    fields,
    ...staged,
  });
  if (switched !== 'switched' && switched !== 'already') {
    return { kind: 'again', why: `the switch was refused: ${switched}` };
  }
  const after = await followedSale(db, sale.sale_no);
  if (after.epoch !== epoch) return { kind: 'again', why: 'somebody else rebuilds, or has rebuilt' };
  return finish(deps, after);
}

type SeenRecord = { epoch: number; generation: number; seq: number };

async function lookAtRecord(redis: Redis, sale: FollowedSale): Promise<SeenRecord | undefined> {
  const chunk = await readChunk(redis, placeOf(sale), { after_seq: Number.MAX_SAFE_INTEGER - 1, count: 1 });
  return chunk.kind === 'missing' ? undefined : chunk;
}

/** A rebuild is under way, and Redis has what it was to bring: only its end is missing. */
function isSwitched(sale: FollowedSale, record: SeenRecord): boolean {
  return (
    sale.rebuild_generation === sale.generation &&
    record.generation === sale.generation &&
    record.epoch === sale.epoch &&
    sale.seq === sale.start_seq &&
    record.seq === sale.start_seq + 1
  );
}

/** Frees the old generations, then notes the end. `sale` as it is under the epoch that was switched to. */
async function finish(deps: FollowDeps, sale: FollowedSale): Promise<Rebuilt> {
  const { db, redis, log, trim_age_ms = TRIM_AGE_MS } = deps;
  const { tenant, sale: id, epoch, generation, seq, rebuild } = sale;
  if (rebuild === null) return { kind: 'again', why: 'somebody else rebuilds, or has rebuilt' };
  // Those before were never in use, or went with an earlier rebuild; what is staged goes by itself.
  const from = Math.max(sale.rebuild_from_generation ?? 1, generation - GENERATIONS_DROPPED_MAX);
  const today = dayOf(timeMs(await withTimeout(redis.time(), REDIS_CALL_TIMEOUT_MS)));
  const days = Array.from({ length: RECORD_TTL_DAYS + 2 }, (_, i) => today + 1 - i);
  for (let old = from; old < generation; old++) {
    await dropGeneration(redis, { ...placeOf(sale), generation: old }, days, trim_age_ms);
  }
  const done = await finishRebuild(db, sale.sale_no, { id: rebuild, epoch }, HEALED_BY_REBUILD);
  if (!done) return { kind: 'again', why: 'somebody else rebuilds, or has rebuilt' };
  log.warn({ tenant, sale: id, seq, epoch, generation }, 'the sale was rebuilt in Redis from the ledger');
  return { kind: 'rebuilt' };
}
