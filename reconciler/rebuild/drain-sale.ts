/**
 * Before a sale's memory is replaced, everything that it acknowledged and the ledger does not have goes into the
 * ledger: what follows the cursor in the stream, generation by generation (a ledger restored from an earlier copy may
 * have missed a rebuild). The recovery gate is closed, so the streams don't grow.
 *
 * - Positions that are nowhere any more are counted, and the ledger goes on behind them: an order that is there is
 *   not given up because of one that is not.
 * - Where the entry at the cursor is not the one the ledger has read, the two have parted some time before. Then the
 *   whole stream is gone through: what the ledger has already is passed over by order id, the rest comes in.
 */
import type { Redis } from 'ioredis';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import { entryDigest, type StreamEntry, UndecodableEntry } from '../../lua/entries.ts';
import { hasStream, readEntries } from '../../lua/rebuild-scripts.ts';
import type { Pool } from '../../platform/postgres.ts';
import { firstOrders } from '../ingest/first-orders.ts';
import type { ChunkPlan } from '../ingest/plan-chunk.ts';
import { type EnqueueAuthorize, writeChunk } from '../ingest/write-chunk.ts';
import { placeOf } from '../sale-place.ts';

export type DrainDeps = {
  db: Pool;
  redis: Redis;
  enqueueAuthorize: EnqueueAuthorize;
  grace_ms: number;
  /** Told of each transaction. */
  onChunk: (plan: ChunkPlan, entries: { read: number; lost: number }) => void | Promise<void>;
};

/** Entries read at once. */
const READ_ENTRIES = 64;
/** Generations looked at beyond the ledger's where Redis has no record to tell. */
const GENERATIONS_AHEAD = 16;

/**
 * `sale`: the ledger's row under the epoch of this rebuild. `from_generation`: the ledger's when it began, because an
 * attempt before this one may have turned the cursor and not switched; what was taken in spite of it lies there.
 * `record_generation`: undefined if Redis has no record. `now_ms`: by the Redis clock. Returns the row as it is afterwards. Throws UndecodableEntry, CursorMoved.
 */
export async function drainSale(
  deps: DrainDeps,
  sale: FollowedSale,
  from_generation: number,
  record_generation: number | undefined,
  now_ms: number,
): Promise<FollowedSale> {
  let current = sale;
  const last = Math.max(sale.generation, record_generation ?? sale.generation + GENERATIONS_AHEAD);
  for (let generation = from_generation; generation <= last; generation++) {
    if (!(await hasStream(deps.redis, { ...placeOf(sale), generation }))) continue;
    const parted = generation === sale.generation && (await hasParted(deps.redis, current));
    current = parted
      ? await salvage(deps, current, generation, now_ms)
      : await drain(deps, current, generation, now_ms);
  }
  return current;
}

/** Is another entry at the cursor than the one the ledger has read? */
async function hasParted(redis: Redis, sale: FollowedSale): Promise<boolean> {
  if (sale.seq === 0 || sale.seq === sale.start_seq) return false;
  const digest = await digestAt(redis, sale);
  return digest !== undefined && sale.digest !== null && !sale.digest.equals(digest);
}

/** Undefined: there is no entry at the cursor. One that an operator has passed can't be read, but has its digest. */
async function digestAt(redis: Redis, sale: FollowedSale): Promise<Buffer | undefined> {
  try {
    const [entry] = await readEntries(redis, placeOf(sale), { after_seq: sale.seq - 1, count: 1 });
    return entry?.seq === sale.seq ? entry.digest : undefined;
  } catch (error) {
    if (!(error instanceof UndecodableEntry)) throw error;
    return error.seq === sale.seq ? entryDigest(error.raw) : undefined;
  }
}

async function drain(
  deps: DrainDeps,
  sale: FollowedSale,
  generation: number,
  now_ms: number,
): Promise<FollowedSale> {
  let current = sale;
  const place = { ...placeOf(sale), generation };
  for (;;) {
    const read = await readEntries(deps.redis, place, { after_seq: current.seq, count: READ_ENTRIES });
    if (read.length === 0) return current;
    const entries = firstOrders(upToGap(read));
    const last = entries[entries.length - 1];
    const lost = entries[0].seq - current.seq - 1;
    current = await write(deps, current, entries, now_ms, { seq: last.seq, digest: last.digest }, lost);
  }
}

async function salvage(
  deps: DrainDeps,
  sale: FollowedSale,
  generation: number,
  now_ms: number,
): Promise<FollowedSale> {
  let current = sale;
  const place = { ...placeOf(sale), generation };
  for (let after_seq = 0; ; ) {
    let read: StreamEntry[];
    try {
      read = await readEntries(deps.redis, place, { after_seq, count: READ_ENTRIES });
    } catch (error) {
      // Behind the cursor an operator has passed it before.
      if (!(error instanceof UndecodableEntry) || error.seq > sale.seq) throw error;
      after_seq = error.seq;
      continue;
    }
    if (read.length === 0) return current;
    const entries = firstOrders(read);
    after_seq = entries[entries.length - 1].seq;
    const to = {
      seq: Math.max(current.seq, after_seq),
      digest: sale.digest ?? entries[entries.length - 1].digest,
    };
    current = await write(deps, current, entries, now_ms, to, 0);
  }
}

async function write(
  deps: DrainDeps,
  sale: FollowedSale,
  entries: readonly StreamEntry[],
  now_ms: number,
  drained: { seq: number; digest: Buffer },
  lost: number,
): Promise<FollowedSale> {
  const { grace_ms, enqueueAuthorize } = deps;
  const terms = { now_ms, grace_ms, enqueueAuthorize, drained, expect_known: true };
  const plan = await writeChunk(deps.db, { sale, entries, ...terms });
  await deps.onChunk(plan, { read: entries.length, lost });
  return { ...sale, ...drained, chain: plan.chain };
}

function upToGap(entries: readonly StreamEntry[]): readonly StreamEntry[] {
  const end = entries.findIndex((entry, i) => i > 0 && entry.seq !== entries[i - 1].seq + 1);
  return end < 0 ? entries : entries.slice(0, end);
}
