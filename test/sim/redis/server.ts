/**
 * A simulated Redis process: its memory, who it is, which scripts it knows. Commands take effect at once and one after
 * another; when they arrive is the wire's business. A restart keeps the memory (appendfsync always), or brings back an
 * older copy, or nothing; in any case it is another process then.
 */
import type { RawEntry } from '../../../lua/entries.ts';
import { REBUILD_SCRIPTS } from '../../../lua/rebuild-scripts.ts';
import type { Reply } from '../../../lua/runner.ts';
import { SCRIPTS } from '../../../lua/scripts.ts';
import type { EventOfRedis } from '../journal.ts';
import { bulk, copyOf, emptyKeyspace, type Keyspace, latin1, readHash } from './keyspace.ts';
import { VERBS } from './verbs.ts';

export type SimRedisServer = {
  /** Throws a ReplyError where Redis would answer with an error. */
  command(name: string, args: readonly (string | number | Buffer)[]): unknown;
  restart(memory: 'kept' | 'empty' | Keyspace): void;
  /** Another process with the same memory: what a replica is when it is promoted. */
  promote(): void;
  flushAll(): void;
  scriptFlush(): void;
  keys(): Keyspace;
  copy(): Keyspace;
  /** How often the memory changed. */
  version(): number;
};

export type SimRedisOptions = {
  /** Its clock, ms since 1970. */
  now_ms: () => number;
  /** Forty hexadecimal digits. */
  name: () => string;
  told: (event: EventOfRedis) => void;
};

const ALL = { ...SCRIPTS, ...REBUILD_SCRIPTS };
const BY_SHA = new Map(Object.entries(ALL).map(([verb, script]) => [script.sha, verb]));
const BY_SOURCE = new Map(Object.values(ALL).map((script) => [script.source, script.sha]));
const WRITES = new Set(['EVALSHA', 'SET', 'XTRIM', 'UNLINK', 'DEL']);

/** An error of Redis itself, as ioredis rejects with it. */
export function replyError(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

export function createSimRedisServer(options: SimRedisOptions): SimRedisServer {
  let keys = emptyKeyspace();
  let known = new Set(BY_SHA.keys());
  let identity = options.name() + options.name();
  let version = 0;

  function evalsha(sha: string, args: readonly (string | number | Buffer)[]): Reply[] {
    if (!known.has(sha)) throw replyError('NOSCRIPT No matching script. Please use EVAL.');
    const verb = VERBS[BY_SHA.get(sha) ?? ''];
    if (!verb) throw new Error(`the simulated Redis has no verb ${BY_SHA.get(sha)}`);
    const count = Number(args[0]);
    const KEYS = args.slice(1, 1 + count).map(latin1);
    const now_ms = Math.floor(options.now_ms());
    return verb({ keys, now_ms, identity, told: options.told }, KEYS, args.slice(1 + count));
  }

  const commands: Record<string, (args: readonly (string | number | Buffer)[]) => unknown> = {
    EVALSHA: ([sha, ...rest]) => evalsha(String(sha), rest),
    SCRIPT: ([, source]) => {
      const sha = BY_SOURCE.get(String(source));
      if (!sha) throw new Error('the simulated Redis does not know this script');
      known.add(sha);
      return sha;
    },
    TIME: () => {
      const now = options.now_ms();
      return [String(Math.floor(now / 1_000)), String(Math.floor((now % 1_000) * 1_000))];
    },
    GET: ([key]) => keys.strings.get(String(key)) ?? null,
    SET: ([key, value]) => {
      keys.strings.set(String(key), String(value));
      return 'OK';
    },
    HGET: ([key, name]) => {
      const value = readHash(keys, String(key)).get(latin1(name));
      return value === undefined ? null : bulk(value);
    },
    HMGET: ([key, ...names]) =>
      names.map((name) => {
        const value = readHash(keys, String(key)).get(latin1(name));
        return value === undefined ? null : bulk(value);
      }),
    HGETALL: ([key]) => new Map([...readHash(keys, String(key))].map(([name, value]) => [name, bulk(value)])),
    HSCAN: ([key]) => {
      const flat: Buffer[] = [];
      for (const [name, value] of readHash(keys, String(key)))
        flat.push(Buffer.from(name, 'latin1'), bulk(value));
      return [Buffer.from('0'), flat];
    },
    XTRIM: ([key, , id]) => {
      const entries = keys.streams.get(String(key)) ?? [];
      const from = Number(String(id).split('-')[0]);
      const rest = entries.filter((entry: RawEntry) => Number(entry[0].toString().split('-')[0]) >= from);
      keys.streams.set(String(key), rest);
      return entries.length - rest.length;
    },
    XRANGE: ([key, from, , , count]) => {
      const after = Number(String(from).split('-')[0]);
      const entries = keys.streams.get(String(key)) ?? [];
      return entries
        .filter((entry: RawEntry) => Number(entry[0].toString().split('-')[0]) >= after)
        .slice(0, Number(count));
    },
    EXISTS: ([key]) => (keys.streams.has(String(key)) || keys.hashes.has(String(key)) ? 1 : 0),
    // Nothing here lives long enough to go away by itself.
    PEXPIRE: () => 1,
    UNLINK: (names) => {
      for (const name of names.map(latin1)) {
        keys.strings.delete(name);
        keys.hashes.delete(name);
        keys.streams.delete(name);
      }
      return names.length;
    },
    INFO: ([section]) =>
      ({
        server: `redis_version:7.0.15\r\nrun_id:${identity.slice(0, 40)}\r\n`,
        memory: 'maxmemory_policy:noeviction\r\n',
        persistence: 'aof_enabled:1\r\n',
        replication: `master_replid:${identity.slice(40)}\r\n`,
      })[String(section)] ?? '',
    CONFIG: ([, name]) => [String(name), name === 'appendfsync' ? 'always' : 'no'],
  };

  return {
    command(name, args) {
      const run = commands[name];
      if (!run) throw new Error(`the simulated Redis has no command ${name}`);
      if (WRITES.has(name)) version += 1;
      return run(args);
    },
    restart(memory) {
      if (memory === 'empty') keys = emptyKeyspace();
      else if (memory !== 'kept') keys = copyOf(memory);
      known = new Set();
      identity = options.name() + options.name();
      version += 1;
    },
    promote() {
      identity = identity.slice(0, 40) + options.name();
      version += 1;
    },
    flushAll() {
      keys = emptyKeyspace();
      version += 1;
    },
    scriptFlush() {
      known = new Set();
    },
    keys: () => keys,
    copy: () => copyOf(keys),
    version: () => version,
  };
}
