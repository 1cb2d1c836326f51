/** One Redis and one Postgres for a whole test run, in a folder that goes away with it. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { removePostgres, startPostgres } from '../../platform/local/postgres-server.ts';
import { redisBinary } from '../../platform/local/redis-binary.ts';
import { startRedis } from '../../platform/local/redis-server.ts';
import { lastWill } from './last-will.ts';
import { TEST_REDIS_PASSWORDS } from './redis-users.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-test-'));
  // Run by root, Postgres is another account, and has to get in.
  chmodSync(folder, 0o711);
  const redis = await startRedis({
    dir: join(folder, 'redis'),
    binary: await redisBinary(console.log),
    users: { passwords: TEST_REDIS_PASSWORDS, unnamed: 'all' },
  });
  const revokeRedis = lastWill([redis.pid], folder);
  // The cluster is thrown away after the run, so it need not survive a power cut.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '200' };
  const postgres = await startPostgres({ dir: join(folder, 'postgres'), settings });
  const revokePostgres = lastWill([postgres.pid]);
  project.provide('redisUrl', redis.url);
  project.provide('postgresUrl', postgres.url);
  return async () => {
    await Promise.all([redis.stop(), postgres.stop()]);
    revokeRedis();
    revokePostgres();
    removePostgres(join(folder, 'postgres'));
    rmSync(folder, { recursive: true, force: true });
  };
}
