/**
 * What an operator does about a stream entry that can't be read: its bytes go to quarantine, and the sale goes
 * on behind it. What the entry took is then known to Redis alone, so the audit will say by how much the books
 * are off; orders in it have to be looked after by hand.
 */
import type { Redis } from 'ioredis';
import { findSale } from '../../ledger/stream/cursor.ts';
import { quarantineEntry } from '../../ledger/stream/quarantine-entry.ts';
import { entryDigest, UndecodableEntry } from '../../lua/entries.ts';
import { pack } from '../../lua/packing.ts';
import { readChunk } from '../../lua/scripts.ts';
import type { Pool } from '../../platform/postgres.ts';
import type { LastingReason } from '../fence-reasons.ts';
import { chainDigest } from '../ingest/plan-chunk.ts';
import { placeOf } from '../sale-place.ts';

const REASON_OVER: LastingReason = 'undecodable_entry';

export type Passed =
  | { kind: 'passed' }
  | { kind: 'not_found' }
  /** The entry after the cursor is readable, or is not the one that was named. */
  | { kind: 'nothing_to_pass'; seq: number };

/** `seq`: position of the entry, as the log told it, so that nobody passes an entry unseen. */
export async function passEntry(
  deps: { db: Pool; redis: Redis },
  entry: { tenant: string; sale: string; seq: number; actor: string },
): Promise<Passed> {
  const sale = await findSale(deps.db, entry.tenant, entry.sale);
  if (!sale) return { kind: 'not_found' };
  const broken = await entryAtCursor(deps.redis, placeOf(sale), sale.seq);
  if (broken?.seq !== entry.seq || entry.seq !== sale.seq + 1) {
    return { kind: 'nothing_to_pass', seq: sale.seq + 1 };
  }
  const digest = entryDigest(broken.raw);
  await quarantineEntry(deps.db, sale.sale_no, {
    seq: broken.seq,
    raw: pack(broken.raw),
    digest,
    chain: chainDigest(sale.chain, digest),
    actor: entry.actor,
    reason_over: REASON_OVER,
  });
  return { kind: 'passed' };
}

async function entryAtCursor(
  redis: Redis,
  place: Parameters<typeof readChunk>[1],
  after_seq: number,
): Promise<UndecodableEntry | undefined> {
  try {
    await readChunk(redis, place, { after_seq, count: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof UndecodableEntry) return error;
    throw error;
  }
}
