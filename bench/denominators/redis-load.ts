/** How long Redis takes to start with the data of many reservations: from commands as they were appended, and from a rewritten AOF. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../lua/testing/sale.ts';
import { type RedisServer, startRedis } from '../../platform/local/redis-server.ts';
import { lastWill } from '../../test/support/last-will.ts';
import { makeBatches, sendBatches } from '../scale/redis-load.ts';
import { openSale } from '../scale/redis-sale.ts';

export type LoadTimes = { appended_s: number; rewritten_s: number; wrong: string[] };

const BATCH = 256;
const STEP = 25_600;

export async function redisLoadTimes(reservations: number, say: (line: string) => void): Promise<LoadTimes> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
  // No rewrite of its own accord. DEBUG: what was loaded is held against what was there.
  const settings = { 'auto-aof-rewrite-percentage': '0', 'enable-debug-command': 'local' };
  const start = () => startRedis({ dir, settings });
  const wrong: string[] = [];
  let server = await start();
  let revoke = lastWill([server.pid]);
  const restarted = async (): Promise<number> => {
    await server.stop();
    revoke();
    const begun = performance.now();
    server = await start();
    revoke = lastWill([server.pid]);
    return (performance.now() - begun) / 1_000;
  };
  try {
    await fill(server, reservations, say);
    const before = await withClient(server, (redis) => redis.debug('DIGEST'));
    const appended_s = await restarted();
    await withClient(server, async (redis) => {
      await redis.bgrewriteaof();
      while (/aof_rewrite_(in_progress|scheduled):1/.test(await redis.info('persistence'))) await sleep(50);
    });
    const rewritten_s = await restarted();
    const after = await withClient(server, (redis) => redis.debug('DIGEST'));
    if (after !== before) wrong.push('Redis has loaded something else than it had');
    return { appended_s, rewritten_s, wrong };
  } finally {
    await server.kill();
    revoke();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function fill(server: RedisServer, reservations: number, say: (line: string) => void): Promise<void> {
  await withClient(server, async (redis) => {
    const sale = await openSale(redis, 1);
    for (let made = 0; made < reservations; made += STEP) {
      const count = Math.min(STEP, reservations - made);
      await sendBatches(
        redis,
        [redis],
        sale,
        makeBatches({ reservations: count, batch_size: BATCH, skus: 1, lines: 1 }),
      );
      if ((made / STEP) % 10 === 9) say(`  ${(made + count).toLocaleString('en')} reservations in Redis`);
    }
  });
}

async function withClient<T>(
  server: RedisServer,
  use: (redis: ReturnType<typeof connect>) => Promise<T>,
): Promise<T> {
  const redis = connect(server.url);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
