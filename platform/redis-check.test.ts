import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../test/support/redis.ts';
import { checkRedis } from './redis-check.ts';

let server: OwnRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startOwnRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

test('our own settings promise the most', async () => {
  expect(await checkRedis(redis)).toMatchObject({ fsync: 'always' });
});

test('a Redis that may evict is refused by name', async () => {
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await expect(checkRedis(redis)).rejects.toThrow(/maxmemory-policy to noeviction \(it is allkeys-lru\)/);
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
});

test('a Redis too old for the scripts is refused', async () => {
  // None of that age can be had here: this one only says that it is.
  const old = {
    info: (section: string) =>
      redis.info(section).then((info) => info.replace(/redis_version:\d/, 'redis_version:6')),
  };
  await expect(checkRedis(old as unknown as Redis)).rejects.toThrow(
    /Redis 7\.0 or newer is needed \(this one is 6\./,
  );
});

test('weaker settings are named, and "always" that stops during a rewrite is one of them', async () => {
  await redis.config('SET', 'no-appendfsync-on-rewrite', 'yes');
  expect(await checkRedis(redis)).toMatchObject({ fsync: 'no' });
  await redis.config('SET', 'no-appendfsync-on-rewrite', 'no');
  await redis.config('SET', 'appendfsync', 'everysec');
  expect((await checkRedis(redis)).promise).toMatch(/up to a second/);
  await redis.config('SET', 'appendonly', 'no');
  expect(await checkRedis(redis)).toMatchObject({ fsync: 'off' });
});
