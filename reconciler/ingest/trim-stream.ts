/**
 * Drops stream entries that are both behind the ledger's cursor and older than a fixed age: until then a ledger
 * that was restored from an earlier copy can still catch up. The entry at the cursor always stays.
 */
import type { Redis } from 'ioredis';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import { readChunk, trim } from '../../lua/scripts.ts';
import { placeOf } from '../sale-place.ts';

/** Entries dropped by one call: more would hold Redis up. */
const STEP_ENTRIES = 1_000;

/** Returns how many entries went. `sale` as the ledger has committed it. */
export async function trimStream(redis: Redis, sale: FollowedSale, age_ms: number): Promise<number> {
  const place = placeOf(sale);
  const first = await entryAfter(redis, sale, 0);
  if (!first || first.seq >= sale.seq) return 0;
  const keep_from = await firstYoungerThan(redis, sale, first.seq, age_ms);
  let dropped = 0;
  for (let upto = first.seq; upto < keep_from; ) {
    upto = Math.min(upto + STEP_ENTRIES, keep_from);
    dropped += await trim(redis, place, upto);
  }
  return dropped;
}

/** Lowest position not above the cursor whose entry is younger than `age_ms`; the cursor if all are older. */
async function firstYoungerThan(
  redis: Redis,
  sale: FollowedSale,
  first: number,
  age_ms: number,
): Promise<number> {
  let [low, high] = [first, sale.seq];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const entry = await entryAfter(redis, sale, middle - 1);
    // Positions follow one another without a gap, so this is the entry at `middle`.
    if (!entry || entry.seq !== middle) return first;
    if (entry.age_ms > age_ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function entryAfter(
  redis: Redis,
  sale: FollowedSale,
  after_seq: number,
): Promise<{ seq: number; age_ms: number } | undefined> {
  const chunk = await readChunk(redis, placeOf(sale), { after_seq, count: 1 });
  if (chunk.kind === 'missing' || chunk.entries.length === 0) return undefined;
  const [entry] = chunk.entries;
  return { seq: entry.seq, age_ms: chunk.now_ms - entry.at_ms };
}
