/** Binary COPY of rows as ingest writes them: three-item orders with their items, events and jobs. */
import { createPool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { copyFiles, writeFiles } from '../ingest/copy.ts';
import type { Stores } from '../ingest/stores.ts';
import { fillStream } from '../ingest/stream.ts';
import { cpuSeconds } from '../lab/cpu.ts';

export type CopyRate = { rows: number; seconds: number; postgres_us: number };

const BATCH = 32;
const LINES = 3;

export async function copyRates(stores: Stores, orders: number, runs: number): Promise<CopyRate[]> {
  const { redis: server, postgres } = stores;
  const written = await stores.freshDatabase();
  await ingest(written, server.url, orders);
  await writeFiles(written);
  await stores.drop(written);
  const rates: CopyRate[] = [];
  for (let run = 0; run < runs; run++) {
    const database = await stores.freshDatabase();
    await stores.checkpoint();
    const { counts, seconds, cpu_seconds } = await copyFiles(database, () => cpuSeconds(postgres.pid));
    const rows = Object.values(counts).reduce((sum, count) => sum + count, 0);
    rates.push({ rows, seconds, postgres_us: (cpu_seconds * 1e6) / rows });
    await stores.drop(database);
  }
  return rates;
}

async function ingest(database_url: string, redis_url: string, orders: number): Promise<void> {
  const db = createPool({ url: database_url, max: 4, application_name: 'bench', on_error: () => {} });
  const redis = connectRedis(redis_url);
  redis.on('error', () => {});
  try {
    await redisReady(redis, 5_000);
    const sale = await fillStream(db, redis, { orders, lines: LINES, batch: BATCH });
    await sale.settle();
    await redis.flushall();
  } finally {
    redis.disconnect();
    await db.end();
  }
}
