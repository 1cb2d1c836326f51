/**
 * What a sale has left, for everybody who looks. One read of Redis serves all who ask within `fresh_ms`:
 * a hundred thousand watchers cost as much as one.
 */
import type { Redis } from 'ioredis';
import { effectiveGate } from '../../domain/gate.ts';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import type { Gate } from '../../domain/types.ts';
import { saleKeys } from '../../lua/keys.ts';
import { timeMs, withTimeout } from '../../platform/redis.ts';
import { adoptEpoch, type Sale } from './sale.ts';

export type SaleStock = {
  /** Redis clock. */
  now_ms: number;
  /** What a buyer meets now, the recovery gate included. */
  state: Gate | 'recovering';
  /** By the sale's SKU positions. */
  available: number[];
  held: number[];
};

export type StockReader = (sale: Sale) => Promise<SaleStock>;

/** The reader throws RedisUnavailable. */
export function createStockReader(options: {
  redis: Redis;
  fresh_ms?: number;
  now_ms?: () => number;
}): StockReader {
  const { redis, fresh_ms = 50, now_ms = Date.now } = options;
  const latest = new Map<Sale, { at_ms: number; stock: Promise<SaleStock> }>();
  return (sale) => {
    const known = latest.get(sale);
    if (known && now_ms() - known.at_ms < fresh_ms) return known.stock;
    const stock = readStock(redis, sale);
    latest.set(sale, { at_ms: now_ms(), stock });
    stock.catch(() => latest.delete(sale));
    return stock;
  };
}

async function readStock(redis: Redis, sale: Sale): Promise<SaleStock> {
  const keys = saleKeys(sale.token);
  const fields = ['epoch', 'generation', 'recovery', 'gate'] as const;
  const [time, record, available, held] = await withTimeout(
    Promise.all([
      redis.time(),
      redis.hmget(keys.record, ...fields),
      redis.hgetall(keys.available),
      redis.hgetall(keys.held),
    ]),
    REDIS_CALL_TIMEOUT_MS,
  );
  const [epoch, generation, recovery, gate] = record;
  if (epoch && Number(epoch) > sale.token.epoch) {
    const moved = Number(generation) !== sale.token.generation;
    adoptEpoch(sale, { epoch: Number(epoch), generation: Number(generation) });
    if (moved) return readStock(redis, sale);
  }
  const now = timeMs(time);
  const times = { gate: gate as Gate, opens_at_ms: sale.opens_at_ms, closes_at_ms: sale.closes_at_ms };
  return {
    now_ms: now,
    state: recovery === 'open' ? effectiveGate(times, now) : 'recovering',
    available: sale.skus.map((sku) => Number(available[sku] ?? 0)),
    held: sale.skus.map((sku) => Number(held[sku] ?? 0)),
  };
}
