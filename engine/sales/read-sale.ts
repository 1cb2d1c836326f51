/** Reads a sale out of Redis: its record and its catalog, so that an engine can sell while the ledger is down. */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { saleKeys } from '../../lua/keys.ts';
import { decodeCatalogItem } from '../../lua/scripts.ts';
import { withTimeout } from '../../platform/redis.ts';
import type { Sale, SaleItem } from './sale.ts';

/** Catalog fields read by one HSCAN step. */
const SCAN_COUNT = 1_000;

/** The sale, or undefined where Redis has no record of it. Throws RedisUnavailable. */
export async function readSale(redis: Redis, tenant: string, id: string): Promise<Sale | undefined> {
  // The record's name has no generation in it: it is what tells the generation.
  const record_key = saleKeys({ tenant, sale: id, generation: 0 }).record;
  const record = await withTimeout(redis.hgetallBuffer(record_key), REDIS_CALL_TIMEOUT_MS);
  if (!record.epoch) return undefined;
  const generation = Number(record.generation);
  const catalog_key = saleKeys({ tenant, sale: id, generation }).catalog;
  const items = await readCatalog(redis, catalog_key);
  // A rebuild may have moved the catalog away while it was read.
  const now = await withTimeout(redis.hget(record_key, 'generation'), REDIS_CALL_TIMEOUT_MS);
  if (now === null) return undefined;
  if (Number(now) !== generation) return readSale(redis, tenant, id);
  const skus: string[] = [];
  for (const item of items.values()) skus[item.position] = item.sku;
  return {
    tenant,
    id,
    token: { tenant, sale: id, generation, epoch: Number(record.epoch) },
    route: record.route,
    salt: record.salt,
    currency: record.currency.toString(),
    limit: Number(record.limit),
    hold_ms: Number(record.hold_ms),
    opens_at_ms: Number(record.opens_at_ms),
    closes_at_ms: Number(record.closes_at_ms),
    items,
    skus,
  };
}

async function readCatalog(redis: Redis, key: string): Promise<Map<string, SaleItem>> {
  const found = new Map<string, SaleItem>();
  let cursor = '0';
  do {
    const step = redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT);
    const [next, flat] = await withTimeout(step, REDIS_CALL_TIMEOUT_MS);
    for (let i = 0; i < flat.length; i += 2) {
      const sku = flat[i].toString();
      found.set(sku, { sku, ...decodeCatalogItem(flat[i + 1]) });
    }
    cursor = next.toString();
  } while (cursor !== '0');
  // In the order in which the sale was created.
  return new Map([...found].sort(([, a], [, b]) => a.position - b.position));
}
