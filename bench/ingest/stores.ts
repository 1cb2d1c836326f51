/** Redis and Postgres of a bench's own, in a temporary folder, and databases that are all made of one template. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../../ledger/migrate.ts';
import { installJobs } from '../../payments/jobs/install.ts';
import { type PostgresServer, removePostgres, startPostgres } from '../../platform/local/postgres-server.ts';
import { type RedisServer, startRedis } from '../../platform/local/redis-server.ts';
import { createPool } from '../../platform/postgres.ts';
import { lastWill } from '../../test/support/last-will.ts';

export type Stores = {
  redis: RedisServer;
  postgres: PostgresServer;
  /** A database with schema and queues and nothing else. Its URL. */
  freshDatabase(): Promise<string>;
  drop(database_url: string): Promise<void>;
  /** What was written so far is on disk, so no run pays for the one before. */
  checkpoint(): Promise<void>;
  close(): Promise<void>;
};

const TEMPLATE = 'bench_template';

export async function startStores(): Promise<Stores> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
  // Postgres may run as another account.
  chmodSync(dir, 0o711);
  const postgres = await startPostgres({ dir: join(dir, 'postgres') });
  const redis = await startRedis({ dir: join(dir, 'redis') });
  const revoke = lastWill([postgres.pid, redis.pid]);
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  await prepare(urlOf(postgres, TEMPLATE));
  let databases = 0;
  return {
    redis,
    postgres,
    async freshDatabase() {
      const name = `bench_${databases++}`;
      await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
      return urlOf(postgres, name);
    },
    async drop(database_url) {
      await admin.query(`DROP DATABASE ${new URL(database_url).pathname.slice(1)} WITH (FORCE)`);
    },
    async checkpoint() {
      await admin.query('CHECKPOINT');
    },
    async close() {
      await admin.end();
      await Promise.all([redis.stop(), postgres.stop()]);
      removePostgres(join(dir, 'postgres'));
      revoke();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function prepare(database_url: string): Promise<void> {
  await migrate(database_url);
  const db = createPool({ url: database_url, max: 1, application_name: 'bench', on_error: () => {} });
  await installJobs(db);
  await db.end();
}

function urlOf(postgres: PostgresServer, database: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${database}`;
  return url.href;
}
