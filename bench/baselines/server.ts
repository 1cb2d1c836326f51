/** A baseline as a process: the engine with something else deciding. REDIS_URL, DATABASE_URL, JWT_SECRET, PORT, BASELINE, POOL_SIZE. */
import pg from 'pg';
import { Registry } from 'prom-client';
import { startEngine } from '../../engine/engine.ts';
import { createProviders } from '../../payments/providers.ts';
import { loadConfig, required } from '../../platform/config.ts';
import { createLog } from '../../platform/log.ts';
import { clientConfig } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { createBaseline, type SameFront } from './all.ts';

const config = required(loadConfig(process.env), 'redis_url', 'database_url');
const pool_size = Number(process.env.POOL_SIZE ?? 16);
const log = createLog({ level: 'silent', service: 'baseline' });
const redis = connectRedis(config.redis_url);
redis.on('error', () => {});
await redisReady(redis, 10_000);
// Who waits for a connection waits: giving up would be another shop's answer.
const db = new pg.Pool({
  ...clientConfig({ url: config.database_url, application_name: 'baseline' }),
  ...{ max: pool_size, connectionTimeoutMillis: 0 },
});
db.on('error', (error) => log.warn({ err: error }, 'a connection was lost'));
const parts = { db, redis_url: config.redis_url, pool_size };
await startEngine({
  ...{ config, redis, db, providers: createProviders(config), log, registry: new Registry() },
  ...{ prepared: () => true, pages: '/nonexistent' },
  createReserve: createBaseline(process.env.BASELINE as SameFront, parts),
});
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
