/**
 * What many sequences share, one after another: a Redis of their own that is killed, restored and emptied as they
 * like, and a ledger. Both are replaced now and then, so that the ten-thousandth sequence is as quick as the first.
 */
import { accessSync, constants, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { beat } from '../../ledger/heartbeat.ts';
import { type RedisServer, startRedis } from '../../platform/local/redis-server.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { lastWill } from '../support/last-will.ts';
import { setHeartbeat } from '../support/ledger.ts';

export type World = {
  readonly db: Pool;
  /** One connection, which comes back by itself after a restart. */
  readonly redis: Redis;
  /** Ends Redis with kill -9 and starts it again; in between `change` may have its data folder. */
  restart(change?: (folder: string) => void): Promise<void>;
  /** Where its data lies. */
  folder: string;
  /** To be called before each sequence. */
  refresh(): Promise<void>;
  close(): Promise<void>;
};

export type WorldOptions = {
  /** URL of a fresh database with all migrations. */
  database: () => Promise<string>;
  /** Sequences that one ledger and one Redis live through. */
  sequences_max?: number;
};

const PATIENCE_MS = 60_000;

export async function createWorld({ database, sequences_max = 100 }: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(quickFolder(), 'stampede-sequences-'));
  let server: RedisServer = await startRedis({ dir: folder });
  let revoke = lastWill([server.pid], folder);
  const redis = connectRedis(server.url);
  redis.on('error', () => {});
  let db = await ledger();
  let sequences = 0;

  async function ledger(): Promise<Pool> {
    const pool = createPool({
      url: await database(),
      max: 8,
      application_name: 'sequences',
      on_error: () => {},
    });
    await setHeartbeat(pool);
    // Somebody is there for as long as this takes: deadlines pass when a sequence says so.
    await beat(pool, { period_ms: 86_400_000, grace_ms: 0 });
    return pool;
  }

  async function restart(change?: (folder: string) => void): Promise<void> {
    // It hears that the process is gone, and comes back by itself.
    const gone = new Promise((resolve) => redis.once('close', resolve));
    await server.kill();
    await gone;
    revoke();
    change?.(folder);
    server = await startRedis({ dir: folder, port: server.port });
    revoke = lastWill([server.pid], folder);
    await redisReady(redis, PATIENCE_MS);
  }

  await redisReady(redis, PATIENCE_MS);
  return {
    folder,
    redis,
    get db() {
      return db;
    },
    restart,
    async refresh() {
      if (sequences++ < sequences_max) return;
      sequences = 1;
      await db.end();
      db = await ledger();
      await restart(emptyAof);
    },
    async close() {
      redis.disconnect();
      await db.end();
      await server.kill();
      revoke();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** In memory where there is one: kill -9 does not reach what was written, and an fsync costs nothing. */
function quickFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

const AOF = 'appendonlydir';
const COPY = 'copy';

export function emptyAof(folder: string): void {
  rmSync(join(folder, AOF), { recursive: true, force: true });
}

export function copyAof(folder: string): void {
  rmSync(join(folder, COPY), { recursive: true, force: true });
  cpSync(join(folder, AOF), join(folder, COPY), { recursive: true });
}

/** The older copy in place of what is there. */
export function restoreAof(folder: string): void {
  emptyAof(folder);
  cpSync(join(folder, COPY), join(folder, AOF), { recursive: true });
}
