/**
 * Takes to Redis what the ledger has for it: the operator's gate, and movements, batch by batch, one in flight.
 * Everything is safe to send again; what Redis refuses is left to verification.
 */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { earliestHold, readBatch } from '../../ledger/movements/read-batch.ts';
import { type SealOptions, sealBatch } from '../../ledger/movements/seal-batch.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { apply, gate, readChunk } from '../../lua/scripts.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { timeMs, withTimeout } from '../../platform/redis.ts';
import { fenceSale } from '../fence-sale.ts';
import type { ReconcilerMetrics } from '../metrics.ts';
import { placeOf } from '../sale-place.ts';

export type ReleaseDeps = {
  db: Pool;
  redis: Redis;
  log: Logger;
  metrics: Pick<ReconcilerMetrics, 'movementsSealed'>;
};

/** Batches taken in a row before other sales get their turn. */
const BATCHES_MAX = 20;

/** True if anything was taken. Throws when Redis or the ledger is away. */
export async function releaseSale(deps: ReleaseDeps, saleNo: number): Promise<boolean> {
  const sale = await followedSale(deps.db, saleNo);
  if (!sale.loaded || sale.fenced_reason !== null || sale.opened_epoch !== sale.epoch) return false;
  let busy = await releaseGate(deps.redis, sale);
  const resend = sale.sealed_n > sale.acked_n;
  if (!resend && (await isAhead(deps.redis, sale))) {
    await fenceSale(deps, sale, 'movements_mismatch');
    return true;
  }
  let next = resend ? sale.sealed_n : await seal(deps, saleNo);
  if (next === undefined) return busy;
  // Advice, so once for all these batches.
  const earliest_ms = await earliestDeadline(deps, saleNo);
  for (let taken = 0; next !== undefined && taken < BATCHES_MAX; taken++) {
    if (!(await releaseBatch(deps, sale, next, earliest_ms))) return busy;
    busy = true;
    next = await seal(deps, saleNo, { n: next, epoch: sale.epoch });
  }
  return busy;
}

/** Sent until its entry has been ingested: only then does the ledger count it as taken. */
async function releaseGate(redis: Redis, sale: FollowedSale): Promise<boolean> {
  if (sale.gate_version <= sale.gate_version_seen) return false;
  const reply = await gate(redis, placeOf(sale), { gate: sale.gate, version: sale.gate_version });
  return reply.kind === 'set';
}

/**
 * Has Redis applied batches that this ledger has not sealed? Then the ledger was restored from an earlier copy, and the
 * next number stands for another batch in Redis: it would seem to be applied already.
 */
async function isAhead(redis: Redis, sale: FollowedSale): Promise<boolean> {
  const record = await readChunk(redis, placeOf(sale), { after_seq: Number.MAX_SAFE_INTEGER - 1, count: 1 });
  return record.kind === 'chunk' && record.generation === sale.generation && record.applied_n > sale.sealed_n;
}

/** `applied`: the batch that Redis has taken, acknowledged with it. */
async function seal(
  deps: ReleaseDeps,
  saleNo: number,
  applied?: SealOptions['applied'],
): Promise<number | undefined> {
  const sealed = await sealBatch(deps.db, saleNo, applied ? { applied } : {});
  if (sealed) deps.metrics.movementsSealed.inc(sealed.movements);
  return sealed?.n;
}

/** True if Redis has it. */
async function releaseBatch(
  deps: ReleaseDeps,
  sale: FollowedSale,
  n: number,
  earliest_ms: number,
): Promise<boolean> {
  const { db, redis } = deps;
  const batch = await readBatch(db, sale.sale_no, n);
  const reply = await apply(redis, placeOf(sale), { ...batch, earliest_ms });
  if (reply.kind === 'refused') {
    // Any other refusal ends with the next verification; this one would come again.
    if (reply.reason === 'impossible') await fenceSale(deps, sale, 'movements_impossible');
    return false;
  }
  return true;
}

/** When the oldest hold ends, by the Redis clock, ms since 1970; 0 if nothing is held. Advice for buyers. */
async function earliestDeadline({ db, redis }: ReleaseDeps, saleNo: number): Promise<number> {
  const in_ms = await earliestHold(db, saleNo);
  if (in_ms === undefined) return 0;
  return timeMs(await withTimeout(redis.time(), REDIS_CALL_TIMEOUT_MS)) + Math.max(0, in_ms);
}
