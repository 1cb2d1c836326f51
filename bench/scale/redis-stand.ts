/**
 * A Redis to be filled: its own process and folder, our settings, no rewrite of the AOF in the middle, and what is deleted
 * is gone at once: freed later, it would be counted with what is measured then.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { connect } from '../../lua/testing/sale.ts';
import { startRedis } from '../../platform/local/redis-server.ts';
import { lastWill } from '../../test/support/last-will.ts';

/** As many as keep Redis busy, as in a sale. */
const ENGINES = 4;

const SETTINGS = { 'auto-aof-rewrite-percentage': '0', 'lazyfree-lazy-user-del': 'no' };

export type RedisStand = { redis: Redis; engines: readonly Redis[] };

export async function withRedis<T>(use: (stand: RedisStand) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-scale-'));
  const server = await startRedis({ dir, settings: SETTINGS });
  const revoke = lastWill([server.pid]);
  const redis = connect(server.url);
  const engines = Array.from({ length: ENGINES }, () => connect(server.url));
  try {
    return await use({ redis, engines });
  } finally {
    for (const connection of [redis, ...engines]) connection.disconnect();
    await server.kill();
    revoke();
    rmSync(dir, { recursive: true, force: true });
  }
}
