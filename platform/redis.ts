/**
 * Connections to Redis. Everything that would send a command late or twice without our knowing is off:
 * no offline queue, no resending, no retries. Who calls decides what to send again, and until when.
 */
import { Redis } from 'ioredis';

/** Redis did not answer in time or can't be reached. The command may or may not have run. */
export class RedisUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RedisUnavailable';
  }
}

const RECONNECT_MS_MAX = 500;

/**
 * Opens a connection that reconnects for ever, 25 to 500 ms apart. Commands sent while it is away fail at
 * once. The caller listens to 'error', or the process ends on the first one.
 */
export function connectRedis(url: string): Redis {
  return new Redis(url, {
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: false,
    // Nobody reads a client's name and version, and our users need not be allowed to tell them.
    disableClientInfo: true,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(25 * attempt, RECONNECT_MS_MAX),
  });
}

/** Resolves when the connection is ready, or rejects with RedisUnavailable after `timeout_ms`. */
export function redisReady(redis: Redis, timeout_ms: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      redis.off('ready', done);
      reject(new RedisUnavailable('Redis is not ready'));
    }, timeout_ms);
    redis.once('ready', done);
  });
}

/**
 * `call` with a timer of our own: ioredis may never settle a promise that was in flight when the socket
 * went away, and its own timeout says nothing about what was sent. Connection errors and the timer become
 * RedisUnavailable; what Redis itself answered (a ReplyError) passes as it is.
 */
export async function withTimeout<T>(call: Promise<T>, timeout_ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RedisUnavailable(`no answer in ${timeout_ms} ms`)), timeout_ms);
  });
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    if (error instanceof RedisUnavailable || isReply(error)) throw error;
    throw new RedisUnavailable('connection to Redis lost', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** A TIME reply in whole milliseconds since 1970. */
export function timeMs([seconds, microseconds]: readonly (string | number)[]): number {
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

/** Did Redis itself answer with this error (as opposed to the connection failing)? */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}
