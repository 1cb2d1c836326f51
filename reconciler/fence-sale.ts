/**
 * Keeps a sale closed and says why: first Redis, so that nothing more is sold, then the ledger, so that it
 * is known to everybody. Both again, as often as needed, change nothing. Found under an epoch that is over, a reason
 * counts no more: verification opens the sale again.
 */
import type { Redis } from 'ioredis';
import type { FollowedSale } from '../ledger/stream/cursor.ts';
import { setFenced } from '../ledger/stream/set-fenced.ts';
import { fence } from '../lua/scripts.ts';
import type { Logger } from '../platform/log.ts';
import type { Queryable } from '../platform/postgres.ts';
import { type FenceReason, isLasting, PASSING_REASONS } from './fence-reasons.ts';
import { placeOf } from './sale-place.ts';

const WORDS: Record<FenceReason, string> = {
  no_record:
    'Redis has no record of a sale that was loaded: it lost its memory; the sale stays closed until it is rebuilt',
  foreign_record: 'Redis holds a sale of this name that another ledger has made; the sale stays closed',
  not_durable:
    'Redis restarted without appendfsync always, so it may have forgotten reservations; the sale stays closed until it is rebuilt',
  epoch_mismatch:
    'the record in Redis has an epoch that the ledger did not issue last; the sale stays closed until it is rebuilt',
  generation_mismatch:
    'the record in Redis is of another generation; the sale stays closed until it is rebuilt',
  redis_behind:
    'Redis stands before what the ledger has ingested: it was restored from an older copy; the sale stays closed until it is rebuilt',
  digest_mismatch:
    'the stream entry at the cursor is not the one the ledger has ingested; the sale stays closed until it is rebuilt',
  movements_mismatch:
    'Redis has applied movements that the ledger did not seal, or lost some; the sale stays closed until it is rebuilt',
  stream_gap: 'stream entries after the cursor are missing; the sale stays closed until it is rebuilt',
  order_did_not_fit:
    'Redis accepted an order that the ledger has no stock for; it was rejected, and the sale stays closed until it is rebuilt',
  reduce_did_not_fit:
    'Redis took units out of sale that the ledger does not have; the sale stays closed until it is rebuilt',
  undecodable_entry: 'a stream entry cannot be read; the sale is closed until an operator passes it',
  movements_impossible:
    'the movements of the ledger give back what Redis does not hold; the sale stays closed until it is rebuilt',
};

/** Returns true if the reason is news. Throws when Redis or the ledger is away; call again then. */
export async function fenceSale(
  deps: { db: Queryable; redis: Redis; log: Logger },
  sale: FollowedSale,
  reason: FenceReason,
): Promise<boolean> {
  await fence(deps.redis, placeOf(sale));
  const may_replace = isLasting(reason)
    ? PASSING_REASONS
    : PASSING_REASONS.filter((other) => other !== reason);
  const news = await setFenced(deps.db, sale.sale_no, { reason, epoch: sale.epoch }, may_replace);
  if (news) deps.log.error({ tenant: sale.tenant, sale: sale.sale, seq: sale.seq, reason }, WORDS[reason]);
  return news;
}
