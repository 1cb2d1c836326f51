/**
 * What can happen to the memory of Redis: killed and started again, promoted, an older copy in its place, nothing at
 * all. Really so, with its process and its files; or, ten times as often, quicker: keys are written back as they were
 * and the process takes a new replication id as after a promotion, which for scripts and reconciler is the same.
 */
import type { Redis } from 'ioredis';
import { copyAof, emptyAof, restoreAof, type World } from './world.ts';

export type Copy = { process: boolean; keys: readonly (readonly [key: string, dump: Buffer])[] };

/** The keys of everything there: each sequence begins with an empty Redis. */
export async function wipe(redis: Redis): Promise<void> {
  await redis.flushall();
}

export async function copyMemory(world: World, process: boolean): Promise<Copy> {
  if (process) {
    copyAof(world.folder);
    return { process, keys: [] };
  }
  const names = await world.redis.keys('st:*');
  const dumps = await Promise.all(names.map((name) => world.redis.dumpBuffer(name)));
  return { process, keys: names.map((name, i) => [name, dumps[i]] as const) };
}

export async function restoreMemory(world: World, copy: Copy): Promise<void> {
  if (copy.process) return world.restart(restoreAof);
  const { redis } = world;
  await redis.flushall();
  await Promise.all(copy.keys.map(([key, dump]) => redis.restore(key, 0, dump)));
  await promote(redis);
}

export async function loseMemory(world: World, process: boolean): Promise<void> {
  if (process) return world.restart(emptyAof);
  await world.redis.flushall();
  // Half of those who empty a Redis do not restart it.
}

/** As after a failover: the same process, another replication id. */
export async function promote(redis: Redis): Promise<void> {
  await redis.replicaof('127.0.0.1', '1');
  await redis.replicaof('NO', 'ONE');
}
