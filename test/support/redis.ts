/** A real Redis for tests. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type RedisServer, startRedis } from '../../platform/local/redis-server.ts';
import { lastWill } from './last-will.ts';
import { TEST_REDIS_PASSWORDS } from './redis-users.ts';

/**
 * The Redis that the whole run shares, and a tenant that nobody else uses: keys hold the tenant, so
 * tests don't meet. Never flush it.
 */
export function testRedis(): { url: string; tenant: string } {
  return { url: inject('redisUrl'), tenant: `t${randomBytes(6).toString('hex')}` };
}

export type OwnRedis = {
  url: string;
  port: number;
  /** Of the process that runs now: another after `start`. */
  pid(): number;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
};

/** A Redis of this test alone, which it may kill, stop with a signal or flush. Call `stop` in afterAll. */
export async function startOwnRedis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-redis-'));
  const users = { passwords: TEST_REDIS_PASSWORDS, unnamed: 'all' } as const;
  let server = await startRedis({ dir, settings, users });
  let revoke = lastWill([server.pid], dir);
  const replace = (next: RedisServer) => {
    revoke();
    server = next;
    revoke = lastWill([server.pid], dir);
  };
  return {
    url: server.url,
    port: server.port,
    pid: () => server.pid,
    kill: () => server.kill(),
    start: async () => replace(await startRedis({ dir, settings, users, port: server.port })),
    stop: async () => {
      await server.kill();
      revoke();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
