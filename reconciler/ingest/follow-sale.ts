/**
 * Follows one sale's stream, step by step: loads it into Redis if it is new, ingests what is there, verifies
 * and reopens after a restart, and fences where the two memories disagree.
 */
import type { Redis } from 'ioredis';
import { effectiveGate } from '../../domain/gate.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { markOpened } from '../../ledger/stream/mark-opened.ts';
import { CursorMoved } from '../../ledger/stream/move-cursor.ts';
import { UndecodableEntry } from '../../lua/entries.ts';
import { type Chunk, readChunk } from '../../lua/scripts.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { type FenceReason, isHealedByRebuild, isLasting, PASSING_REASONS } from '../fence-reasons.ts';
import { fenceSale } from '../fence-sale.ts';
import type { StepResult } from '../loop.ts';
import type { FollowState, ReconcilerMetrics } from '../metrics.ts';
import { rebuildSale } from '../rebuild/rebuild-sale.ts';
import { placeOf } from '../sale-place.ts';
import { createTurns, type Turns } from '../turns.ts';
import { loadSale } from '../verify/load-sale.ts';
import { verifySale } from '../verify/verify-sale.ts';
import { CHUNK_ORDERS_MAX, firstOrders } from './first-orders.ts';
import { createReadAhead, type Look } from './read-ahead.ts';
import { type EnqueueAuthorize, writeChunk } from './write-chunk.ts';

export type FollowDeps = {
  db: Pool;
  redis: Redis;
  log: Logger;
  metrics: ReconcilerMetrics;
  enqueueAuthorize: EnqueueAuthorize;
  grace_ms: number;
  /** Stream entries stay for so long even behind the cursor, and after a rebuild, ms. */
  trim_age_ms?: number;
  /** Bounds the rebuilds that go on at once; absent: no bound. */
  rebuildTurns?: Turns;
};

export type Follower = {
  step(): Promise<StepResult>;
  /** The ledger's row has changed otherwise than by this follower: read it again. */
  lookAgain(): void;
  state: Readonly<FollowState>;
};

/** Entries read at once: from few, since each may carry a full batch, doubling while they carry little. */
const READ_ENTRIES_MIN = 16;
const READ_ENTRIES_MAX = 256;

export function followSale(deps: FollowDeps, saleNo: number): Follower {
  const { db, redis, log, metrics } = deps;
  const state: FollowState = { lag_entries: 0, behind_since_ms: undefined, fenced: false };
  /** The ledger's row as last read or written by us; undefined: read it again. */
  let sale: FollowedSale | undefined;
  let count = READ_ENTRIES_MIN;
  /** An order came that the ledger had: Redis has forgotten some, and more of them may come again. */
  let expect_known = false;
  const ahead = createReadAhead((of, after_seq) => readChunk(redis, placeOf(of), { after_seq, count }));

  async function step(): Promise<StepResult> {
    try {
      sale ??= await followedSale(db, saleNo);
      state.fenced = sale.fenced_reason !== null;
      return await follow(sale);
    } catch (error) {
      const before = sale;
      sale = undefined;
      ahead.forget();
      // Whatever comes after may have piled up.
      count = READ_ENTRIES_MIN;
      state.behind_since_ms ??= Date.now();
      if (isKnownOrder(error) && !expect_known) {
        expect_known = true;
        return 'more';
      }
      if (error instanceof CursorMoved || isInsertedByAnother(error)) return 'slow';
      if (before && isRefusedByStock(error) && (await isBehind(before))) return 'slow';
      throw error;
    }
  }

  /** Has another ingester gone on meanwhile? Then what was refused is what it has written already. */
  async function isBehind(before: FollowedSale): Promise<boolean> {
    return (await followedSale(db, saleNo)).seq !== before.seq;
  }

  async function follow(current: FollowedSale): Promise<StepResult> {
    if (!current.loaded) return loadNew(current);
    if (current.rebuild !== null || isHealedByRebuild(current.fenced_reason)) return rebuild(current);
    const chunk = await read(current);
    if (chunk === 'undecodable') return suspected(current, 'undecodable_entry');
    if (chunk.kind === 'missing') return fenced(current, 'no_record');

    const followed =
      chunk.identity_now === current.identity &&
      chunk.epoch === current.epoch &&
      chunk.generation === current.generation;
    if (!followed) return verify(current);
    if (chunk.recovery === 'open' && current.opened_epoch !== current.epoch) await noteOpened(current);

    note(chunk, current.seq, chunk.entries[0]?.at_ms);
    const problem = positionProblem(current, chunk);
    if (problem) return suspected(current, problem);
    if (chunk.entries.length > 0) return ingest(current, chunk);
    if (chunk.recovery !== 'open') return verify(current);
    if (current.fenced_reason) return fenced(current, current.fenced_reason as FenceReason);
    return isQuiet(current, chunk) ? 'slow' : 'idle';
  }

  async function loadNew(current: FollowedSale): Promise<StepResult> {
    if ((await loadSale(deps, current)) === 'foreign') return fenced(current, 'foreign_record');
    sale = undefined;
    return 'more';
  }

  async function read(current: FollowedSale): Promise<Look | 'undecodable'> {
    try {
      return await ahead.next(current);
    } catch (error) {
      if (!(error instanceof UndecodableEntry)) throw error;
      return 'undecodable';
    }
  }

  async function ingest(current: FollowedSale, chunk: Chunk): Promise<StepResult> {
    const { now_ms } = chunk;
    const entries = firstOrders(chunk.entries);
    if (entries.length < chunk.entries.length) count = Math.max(entries.length, READ_ENTRIES_MIN);
    // Batches are sealed by another role, so our row may not know the newest.
    const last = entries[entries.length - 1];
    if (last.applied_n > current.sealed_n) {
      current.sealed_n = (await followedSale(db, saleNo)).sealed_n;
      if (last.applied_n > current.sealed_n) return fenced(current, 'movements_mismatch');
    }
    // Decoded while Postgres writes: before that it would wait for us.
    const meanwhile = () => ahead.prepare(current, chunk, last.seq);
    const done = metrics.ingestSeconds.startTimer();
    const { grace_ms, enqueueAuthorize } = deps;
    const plan = await writeChunk(db, {
      sale: current,
      entries,
      now_ms,
      grace_ms,
      enqueueAuthorize,
      expect_known,
      meanwhile,
    });
    done();
    metrics.ingestOrders.inc({ result: 'reserved' }, plan.orders.length - plan.rejected);
    if (plan.rejected > 0) metrics.ingestOrders.inc({ result: 'rejected' }, plan.rejected);
    if (plan.replayed > 0) metrics.ingestOrders.inc({ result: 'replayed' }, plan.replayed);
    metrics.oversellPrevented.inc(plan.rejected);
    const few = plan.orders.length + plan.replayed <= CHUNK_ORDERS_MAX / 2;
    if (few && entries.length === count) count = Math.min(2 * count, READ_ENTRIES_MAX);
    const { seq, digest, chain, applied_n } = plan;
    sale = { ...current, seq, digest, chain, applied_n };
    if (plan.fenced_reason) return fenced(sale, plan.fenced_reason);
    // What comes next is no older than what was ingested last.
    note(chunk, seq, last.at_ms);
    return seq < chunk.seq ? 'more' : 'busy';
  }

  /** Redis has taken the epoch, and whoever gave it died before the ledger heard of it. Until it has, nothing is released. */
  async function noteOpened(current: FollowedSale): Promise<void> {
    await markOpened(db, saleNo, current.epoch, PASSING_REASONS);
    current.opened_epoch = current.epoch;
  }

  async function verify(current: FollowedSale): Promise<StepResult> {
    // Read again: another role may have fenced it since.
    const now = await followedSale(db, saleNo);
    if (now.rebuild !== null) return rebuild(now);
    if (isLasting(now.fenced_reason)) return fenced(now, now.fenced_reason as FenceReason);
    const verdict = await verifySale(deps, saleNo);
    sale = undefined;
    if (verdict.kind === 'refused') return fenced(now, verdict.reason);
    if (verdict.kind === 'opened') {
      const { tenant, sale: id, seq } = current;
      log.info({ tenant, sale: id, seq, epoch: verdict.epoch }, 'sale verified and opened');
    }
    return 'more';
  }

  /** Closes the sale, unless we only look from where the cursor was: another ingester has moved it, and entries behind it may be gone. */
  async function suspected(current: FollowedSale, reason: FenceReason): Promise<StepResult> {
    const now = await followedSale(db, saleNo);
    if (now.seq === current.seq && now.epoch === current.epoch) return fenced(current, reason);
    sale = undefined;
    return 'more';
  }

  /** Closes the sale; the next step rebuilds it if that ends the reason. */
  async function fenced(current: FollowedSale, reason: FenceReason): Promise<StepResult> {
    sale = undefined;
    state.fenced = true;
    await fenceSale(deps, current, reason);
    return isHealedByRebuild(reason) ? 'more' : 'slow';
  }

  async function rebuild(current: FollowedSale): Promise<StepResult> {
    sale = undefined;
    state.fenced = true;
    // Until an operator has passed the entry, no attempt would get past it.
    if (current.fenced_reason === 'undecodable_entry') return fenced(current, 'undecodable_entry');
    const why = { reason: current.fenced_reason ?? 'unknown', actor: 'reconciler' };
    const turns = deps.rebuildTurns ?? createTurns(1);
    const result = await turns(() => rebuildSale(deps, saleNo, why), { urgent: current.gate === 'open' });
    // Verification opens it.
    if (result.kind === 'rebuilt') return 'more';
    // The attempt has issued an epoch of its own.
    if (result.kind === 'refused') return fenced(await followedSale(db, saleNo), result.reason);
    const { tenant, sale: id } = current;
    log.warn({ tenant, sale: id, why: result.why }, 'the rebuild begins again');
    return 'idle';
  }

  /** `at_ms`: when the next entry was written, by the Redis clock. */
  function note(chunk: Chunk, seq: number, at_ms = chunk.now_ms): void {
    state.lag_entries = Math.max(0, chunk.seq - seq);
    state.behind_since_ms = state.lag_entries === 0 ? undefined : Date.now() - (chunk.now_ms - at_ms);
  }

  const lookAgain = () => {
    sale = undefined;
    ahead.forget();
  };
  return { step, lookAgain, state };
}

function isKnownOrder(error: unknown): boolean {
  return (error as { constraint?: unknown }).constraint === 'orders_pkey';
}

/** Another ingester has committed the same orders, or gates, while we were at it. */
function isInsertedByAnother(error: unknown): boolean {
  return isKnownOrder(error) || (error as { constraint?: unknown }).constraint === 'sale_events_gates';
}

/** Units that were taken out of sale can't be taken out again, where they were all that was left. */
function isRefusedByStock(error: unknown): boolean {
  return (error as { constraint?: unknown }).constraint === 'stock_is_never_oversold';
}

/** What is wrong with where Redis stands, if anything. */
function positionProblem(sale: FollowedSale, chunk: Chunk): FenceReason | undefined {
  if (chunk.seq < sale.seq) return 'redis_behind';
  if (chunk.entries.length === 0) return chunk.seq > sale.seq ? 'stream_gap' : undefined;
  if (chunk.entries.some((entry, i) => entry.seq !== sale.seq + 1 + i)) return 'stream_gap';
  let applied_n = sale.applied_n;
  for (const entry of chunk.entries) {
    if (entry.applied_n < applied_n) return 'movements_mismatch';
    applied_n = entry.applied_n;
  }
  return undefined;
}

/** Nobody can buy any more, and the ledger has everything. */
function isQuiet(sale: FollowedSale, chunk: Chunk): boolean {
  const gate = effectiveGate({ ...sale, gate: chunk.gate }, chunk.now_ms);
  return gate === 'closed' && chunk.seq === sale.seq;
}
