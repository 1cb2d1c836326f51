/** The stores behind a stack, asked directly: where a sale stands in both. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type FollowedSale, findSale } from '../../../ledger/stream/cursor.ts';
import { saleKeys } from '../../../lua/keys.ts';
import { createPool, type Pool } from '../../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../../platform/redis.ts';
import { placeOf } from '../../../reconciler/sale-place.ts';

export type Stores = { db: Pool; redis: Redis; close(): Promise<void> };

export async function openStores(urls: { REDIS_URL: string; DATABASE_URL: string }): Promise<Stores> {
  const db = createPool({
    ...{ url: urls.DATABASE_URL, max: 3, application_name: 'bench' },
    ...{ statement_timeout_ms: 60_000, on_error: () => {} },
  });
  const redis = connectRedis(urls.REDIS_URL);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  return {
    ...{ db, redis },
    async close() {
      redis.disconnect();
      await db.end();
    },
  };
}

export async function saleRow(db: Pool, id: string): Promise<FollowedSale> {
  const sale = await findSale(db, 'default', id);
  if (!sale) throw new Error(`no sale ${id}`);
  return sale;
}

/** Entries of its stream that the ledger does not have yet. */
export async function entriesBehind({ db, redis }: Stores, id: string): Promise<number> {
  const sale = await saleRow(db, id);
  return Number(await redis.hget(saleKeys(placeOf(sale)).record, 'seq')) - sale.seq;
}

/** What can be bought of a SKU now. */
export async function unitsLeft({ redis }: Stores, sale: FollowedSale, sku: string): Promise<number> {
  return Number(await redis.hget(saleKeys(placeOf(sale)).available, sku));
}

/** Resolves when the ledger has the whole stream; tells how far it is now and then. */
export async function untilIngested(stores: Stores, id: string, say: (line: string) => void): Promise<void> {
  for (let polls = 1; ; polls++) {
    const behind = await entriesBehind(stores, id);
    if (behind === 0) return;
    if (polls % 20 === 0) say(`  the ledger is ${behind.toLocaleString('en')} entries behind`);
    await sleep(250);
  }
}
