/**
 * Decides whether the memory of this Redis is the one the ledger has followed, and opens the sale if it is.
 * After a restart in place that takes a few round trips.
 *
 * It is the same memory if Redis keeps every acknowledged write (appendfsync always), the record's epoch is
 * the one the ledger issued last, the entry at the cursor is the one the ledger has read, and the
 * applied movements lie between the acknowledged and the sealed ones. Then a new epoch, the ledger
 * first, and the record takes it if it still is what was looked at, and with it the operator's gate, which an older copy
 * may have forgotten although nothing else was.
 */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { issueEpoch } from '../../ledger/stream/issue-epoch.ts';
import { markOpened } from '../../ledger/stream/mark-opened.ts';
import { entryDigest, UndecodableEntry } from '../../lua/entries.ts';
import { type Chunk, fence, readChunk, verifyOpen } from '../../lua/scripts.ts';
import type { Queryable } from '../../platform/postgres.ts';
import { withTimeout } from '../../platform/redis.ts';
import { checkRedis } from '../../platform/redis-check.ts';
import { PASSING_REASONS, type PassingReason } from '../fence-reasons.ts';
import { placeOf } from '../sale-place.ts';

export type Verdict =
  | { kind: 'opened'; epoch: number }
  | { kind: 'refused'; reason: PassingReason }
  /** It changed while it was looked at. */
  | { kind: 'again' };

/** Throws when Redis or the ledger is away. */
export async function verifySale(deps: { db: Queryable; redis: Redis }, saleNo: number): Promise<Verdict> {
  const { db, redis } = deps;
  const before = await followedSale(db, saleNo);
  // With the gate closed nothing changes the sale, so what follows is read from one state.
  if ((await fence(redis, placeOf(before))) === 'missing') return { kind: 'refused', reason: 'no_record' };
  const look = await lookAtCursor(redis, before);
  if (look.kind === 'missing') return { kind: 'refused', reason: 'no_record' };
  const { chunk } = look;
  const sale = await followedSale(db, saleNo);
  // The cursor was moved while Redis was looked at from where it had been.
  if (sale.seq !== before.seq || sale.epoch !== before.epoch) return { kind: 'again' };
  const reason = (await durabilityProblem(redis, sale, chunk)) ?? memoryProblem(sale, chunk, look.digest);
  if (reason) return { kind: 'refused', reason };

  const { epoch: record_epoch, seq, applied_n, identity_now } = chunk;
  const seen = { epoch: sale.epoch, record_epoch, identity: identity_now, applied_n };
  const issued = await issueEpoch(db, saleNo, seen);
  if (!issued) return { kind: 'again' };
  const verified = { old_epoch: record_epoch, seq, applied_n, identity_now };
  const opened = await verifyOpen(redis, placeOf(sale), verified, issued);
  if (opened === 'missing') return { kind: 'refused', reason: 'no_record' };
  if (opened === 'changed') return { kind: 'again' };
  await markOpened(db, saleNo, issued.epoch, PASSING_REASONS);
  return { kind: 'opened', epoch: issued.epoch };
}

type Look = { kind: 'missing' } | { kind: 'chunk'; chunk: Chunk; digest: Buffer | null };

/** The record, and the digest of the entry at the cursor, null if there is none. */
async function lookAtCursor(redis: Redis, sale: FollowedSale): Promise<Look> {
  const place = placeOf(sale);
  try {
    const chunk = await readChunk(redis, place, { after_seq: Math.max(0, sale.seq - 1), count: 1 });
    if (chunk.kind === 'missing') return chunk;
    const entry = chunk.entries[0];
    return { kind: 'chunk', chunk, digest: entry?.seq === sale.seq ? entry.digest : null };
  } catch (error) {
    if (!(error instanceof UndecodableEntry) || error.seq !== sale.seq) throw error;
    // An operator has passed this entry; its bytes still have their digest.
    const chunk = await readChunk(redis, place, { after_seq: Number.MAX_SAFE_INTEGER - 1, count: 1 });
    if (chunk.kind === 'missing') return chunk;
    return { kind: 'chunk', chunk, digest: entryDigest(error.raw) };
  }
}

/** A sale that was never open has nothing to lose, and a process that has run on since it was checked lost nothing. */
async function durabilityProblem(
  redis: Redis,
  sale: FollowedSale,
  chunk: Chunk,
): Promise<PassingReason | undefined> {
  if (sale.identity === '' || chunk.identity === chunk.identity_now) return undefined;
  const { fsync } = await withTimeout(checkRedis(redis), REDIS_CALL_TIMEOUT_MS);
  return fsync === 'always' ? undefined : 'not_durable';
}

function memoryProblem(sale: FollowedSale, chunk: Chunk, digest: Buffer | null): PassingReason | undefined {
  if (chunk.generation !== sale.generation) return 'generation_mismatch';
  // Between issuing an epoch and Redis taking it, a crash leaves Redis at the one before.
  if (chunk.epoch !== sale.epoch && chunk.epoch !== sale.opened_epoch) return 'epoch_mismatch';
  if (chunk.seq < sale.seq) return 'redis_behind';
  // At its start a generation has no entry; that its epoch and generation are the ledger's says who made it.
  if (sale.seq > sale.start_seq && (!digest || !sale.digest?.equals(digest))) return 'digest_mismatch';
  if (chunk.applied_n < sale.acked_n || chunk.applied_n > sale.sealed_n) return 'movements_mismatch';
  return undefined;
}
