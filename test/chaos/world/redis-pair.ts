/** A primary and its asynchronous replica, each with a folder of its own; what was done to their files and memory. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { freePort } from '../../../platform/local/ports.ts';
import { redisBinary } from '../../../platform/local/redis-binary.ts';
import { startRedis } from '../../../platform/local/redis-server.ts';
import { connectRedis, redisReady } from '../../../platform/redis.ts';
import { TEST_REDIS_PASSWORDS } from '../../support/redis-users.ts';
import { type Links, local } from './links.ts';
import { type Managed, manage } from './managed.ts';
import type { TroubleMaker } from './trouble.ts';

/** `who`: in the names of what can be troubled, such as `redis-0`. */
export type Node = { who: string; dir: string; port: number; url: string; process: Managed };

export type RedisPair = {
  primary(): Node;
  /** Runs a command at the primary, past all proxies. */
  command<T>(use: (redis: Redis) => Promise<T>): Promise<T>;
  /** Resolves when the replica has all of the primary. */
  synced(patience_ms: number): Promise<boolean>;
  /** The replica is the primary from now on; clients are still where they were. Returns the one before. */
  promote(): Promise<Node>;
  /** Kills `old`, and starts an empty replica of the primary. */
  replace(old: Node): Promise<void>;
  /** A copy of the primary's AOF as it is now; `restore` puts it in the place of what is there (while it does not run). */
  copyAof(): { restore(): void };
  /** While it does not run. `cut`: bytes from the end; `torn`: half of a command is added. Returns the bytes cut. */
  tearAof(how: { cut: number } | 'torn'): number;
  surprises(): string[];
  close(): Promise<void>;
};

/** Their own users for the parts; whoever breaks things comes without a name and may do everything. */
const USERS = { passwords: TEST_REDIS_PASSWORDS, unnamed: 'all' } as const;

/** The link through which the replica follows. */
export const REPLICA_LINK = 'replica-redis';

export async function startRedisPair(options: {
  dir: string;
  links: Links;
  trouble: TroubleMaker;
  settings: Readonly<Record<string, string>>;
  on_spawn: (name: string, pid: number) => void;
}): Promise<RedisPair> {
  const { links, trouble } = options;
  const binary = await redisBinary();
  const gone: string[] = [];
  let made = 0;
  let copies = 0;

  async function startNode(): Promise<Node> {
    const who = `redis-${made++}`;
    const dir = join(options.dir, who);
    const port = await freePort();
    const env = { ...binary.env, ...trouble.env(who) };
    const launch = async () => {
      const server = await startRedis({
        ...{ dir, port, binary: { ...binary, env }, settings: options.settings, users: USERS },
        on_spawn: (pid) => options.on_spawn(who, pid),
      });
      return { pid: server.pid, exited: server.exited, url: server.url };
    };
    let url = '';
    const process = await manage(who, async () => {
      const launched = await launch();
      url = launched.url;
      return launched;
    });
    return { who, dir, port, url, process };
  }

  let primary = await startNode();
  await links.open(REPLICA_LINK, local(primary.port));
  let replica = await startReplica();

  async function startReplica(): Promise<Node> {
    const node = await startNode();
    await at(node, async (redis) => {
      await redis.call('REPLICAOF', '127.0.0.1', String(links.portOf(REPLICA_LINK)));
    });
    return node;
  }

  const incremental = () => {
    const folder = join(primary.dir, 'appendonlydir');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    const last = names
      .filter((name) => name.endsWith('.incr.aof'))
      .sort((a, b) => Number(a.split('.').at(-3)) - Number(b.split('.').at(-3)))
      .at(-1);
    if (!last) throw new Error('the primary has no AOF');
    return join(folder, last);
  };

  return {
    primary: () => primary,
    command: (use) => at(primary, use),
    async synced(patience_ms) {
      const deadline = performance.now() + patience_ms;
      while (performance.now() < deadline) {
        const info = await at(replica, (redis) => redis.info('replication')).catch(() => '');
        if (info.includes('master_link_status:up')) return true;
        await sleep(100);
      }
      return false;
    },
    async promote() {
      const old = primary;
      await at(replica, (redis) => redis.call('REPLICAOF', 'NO', 'ONE'));
      primary = replica;
      return old;
    },
    async replace(old) {
      await old.process.close();
      gone.push(...old.process.surprises);
      rmSync(old.dir, { recursive: true, force: true });
      await links.retarget(REPLICA_LINK, local(primary.port));
      await links.reset(REPLICA_LINK);
      replica = await startReplica().catch(startReplica);
    },
    copyAof() {
      const copy = join(options.dir, `copy-${copies++}`);
      const source = join(primary.dir, 'appendonlydir');
      const manifest = () => readFileSync(join(source, 'appendonly.aof.manifest'), 'utf8');
      // A rewrite that ends in between makes it a mixture: once more then.
      for (let before = ''; before !== manifest(); ) {
        before = manifest();
        rmSync(copy, { recursive: true, force: true });
        cpSync(source, copy, { recursive: true });
      }
      return {
        restore() {
          rmSync(source, { recursive: true, force: true });
          cpSync(copy, source, { recursive: true });
          rmSync(copy, { recursive: true, force: true });
        },
      };
    },
    tearAof(how) {
      const file = incremental();
      if (how === 'torn') {
        appendFileSync(file, '*1\r\n$5\r\nMULTI\r\n*4\r\n$4\r\nHSET\r\n$7\r\nst:torn\r\n$5\r\nhel');
        return 0;
      }
      const { size } = statSync(file);
      const cut = Math.min(how.cut, size);
      truncateSync(file, size - cut);
      return cut;
    },
    surprises: () => [...gone, ...primary.process.surprises, ...replica.process.surprises],
    async close() {
      await Promise.all([primary.process.close(), replica.process.close()]);
    },
  };
}

/** A replica that has just been filled, a machine that is busy. */
const READY_MS = 30_000;

async function at<T>(node: Node, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectRedis(node.url);
  redis.on('error', () => {});
  try {
    await redisReady(redis, READY_MS);
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
