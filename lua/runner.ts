/**
 * Runs one verb on one connection: by its SHA-1, with the source again where Redis has forgotten it
 * (NOSCRIPT means "not run", so sending it again is safe), and never longer than a timer of our own.
 */
import { Command, type Redis } from 'ioredis';
import { isReply, RedisUnavailable, withTimeout } from '../platform/redis.ts';
import type { Script } from './registry.ts';

/** What a script may return: bulk strings as Buffers, integers, lists of these. */
export type Reply = Buffer | number | null | Reply[];

/** Answers of Redis that say: not now, nothing was changed. */
const NOT_NOW = /^(LOADING|BUSY|MISCONF|OOM|READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)/;

/** Scripts are flushed by people, now and then. */
const LOADS_MAX = 5;

/**
 * Throws RedisUnavailable when there is no usable answer (the script may or may not have run), and
 * Redis's own error for a call that is wrong.
 */
export async function runScript(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
  timeout_ms: number,
): Promise<Reply[]> {
  for (let loaded = 0; ; loaded++) {
    try {
      return await evalsha(redis, script, keys, args, timeout_ms);
    } catch (error) {
      if (!isReply(error)) throw error;
      if (NOT_NOW.test(error.message)) throw new RedisUnavailable(error.message, { cause: error });
      // Forgotten between the loading and the next call: once more, but not for ever.
      if (!error.message.startsWith('NOSCRIPT') || loaded === LOADS_MAX) throw error;
    }
    await withTimeout(redis.script('LOAD', script.source), timeout_ms);
  }
}

function evalsha(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
  timeout_ms: number,
): Promise<Reply[]> {
  // A Command of our own, because the typed methods decode replies as text and ours are bytes.
  const command = new Command('EVALSHA', [script.sha, keys.length, ...keys, ...args], {
    replyEncoding: null,
  });
  return withTimeout(redis.sendCommand(command) as Promise<Reply[]>, timeout_ms);
}
