/**
 * A sale's counters with the position they belong to, read at one moment (MULTI): what an audit holds
 * against the ledger.
 */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../domain/limits.ts';
import { withTimeout } from '../platform/redis.ts';
import { type SalePlace, saleKeys } from './keys.ts';

export type LiveStock = {
  epoch: number;
  seq: number;
  available: Map<string, number>;
  held: Map<string, number>;
};

/** Null where Redis has no record of the sale. Throws RedisUnavailable. */
export async function readLiveStock(
  redis: Redis,
  place: SalePlace,
  timeout_ms = REDIS_CALL_TIMEOUT_MS,
): Promise<LiveStock | null> {
  const k = saleKeys(place);
  const call = redis.multi().hmget(k.record, 'epoch', 'seq').hgetall(k.available).hgetall(k.held).exec();
  const replies = await withTimeout(call, timeout_ms);
  if (!replies) throw new Error('MULTI without an answer');
  const [record, available, held] = replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  }) as [(string | null)[], Record<string, string>, Record<string, string>];
  if (record[0] === null) return null;
  return {
    epoch: Number(record[0]),
    seq: Number(record[1]),
    available: counters(available),
    held: counters(held),
  };
}

function counters(hash: Record<string, string>): Map<string, number> {
  return new Map(Object.entries(hash).map(([sku, count]) => [sku, Number(count)]));
}
