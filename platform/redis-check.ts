/** What a Redis keeps of what it acknowledged, told from its settings. */
import type { Redis } from 'ioredis';

export type RedisDurability = {
  /** `unknown` where the provider forbids CONFIG. */
  fsync: 'always' | 'everysec' | 'no' | 'off' | 'unknown';
  /** One sentence for a log or a terminal. */
  promise: string;
};

const PROMISE: Record<RedisDurability['fsync'], string> = {
  always: 'AOF with appendfsync always: no acknowledged reservation is lost by kill -9 or power loss',
  everysec:
    'AOF with appendfsync everysec: up to a second of acknowledged reservations may be lost in a crash',
  no: 'AOF without fsync: acknowledged reservations of the last half minute may be lost in a power cut',
  off: 'no AOF: a restart of Redis loses every reservation that is not in the ledger yet',
  unknown: 'CONFIG is forbidden there, so its durability is unknown',
};

/** The scripts ask INFO for two sections at once, and EXPIRE for NX: both came with 7.0. */
const REDIS_MAJOR_MIN = 7;

/**
 * Refuses a Redis that may evict (an evicted hold is stock sold twice) or is too old for the scripts. Throws
 * an Error whose message is one line for the operator; rejects like any command if Redis is away.
 */
export async function checkRedis(redis: Redis): Promise<RedisDurability> {
  const version = field(await redis.info('server'), 'redis_version') ?? 'unknown';
  if (!(Number.parseInt(version, 10) >= REDIS_MAJOR_MIN)) {
    throw new Error(`Redis ${REDIS_MAJOR_MIN}.0 or newer is needed (this one is ${version})`);
  }
  // INFO, unlike CONFIG, is allowed at every provider.
  const policy = field(await redis.info('memory'), 'maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new Error(
      `Redis would evict reservations when its memory is full: set maxmemory-policy to noeviction (it is ${policy})`,
    );
  }
  const fsync = await fsyncOf(redis);
  return { fsync, promise: PROMISE[fsync] };
}

async function fsyncOf(redis: Redis): Promise<RedisDurability['fsync']> {
  if (field(await redis.info('persistence'), 'aof_enabled') !== '1') return 'off';
  try {
    const appendfsync = await setting(redis, 'appendfsync');
    if (appendfsync === 'no' || appendfsync === 'everysec') return appendfsync;
    // "always" is suspended during a rewrite where this is on.
    return (await setting(redis, 'no-appendfsync-on-rewrite')) === 'yes' ? 'no' : 'always';
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return 'unknown';
    throw error;
  }
}

async function setting(redis: Redis, name: string): Promise<string | undefined> {
  const pairs = (await redis.config('GET', name)) as string[];
  return pairs[1];
}

function field(info: string, name: string): string | undefined {
  return info.match(new RegExp(`^${name}:(.*?)\\r?$`, 'm'))?.[1];
}
