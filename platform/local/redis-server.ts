/** Starts and ends a real Redis with our own ops/redis.conf in a folder. */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { freePort } from './ports.ts';
import { projectFolder } from './project.ts';
import { type RedisBinary, redisBinary } from './redis-binary.ts';
import { type RedisUser, type RedisUsers, writeRedisUsers } from './redis-users.ts';
import { type ServerProcess, spawnServer, untilServing } from './server-process.ts';

export type RedisOptions = {
  /** Holds the AOF. Made if missing; starting again on the same folder continues with its data. */
  dir: string;
  /** Default: a free one. */
  port?: number;
  /** Settings over ops/redis.conf, as in `{ appendfsync: 'everysec' }`. */
  settings?: Readonly<Record<string, string>>;
  /** Default: anybody may do everything (tools that measure, on a port of their own). */
  users?: RedisUsers;
  /** Default: redis.log in `dir`. */
  log_file?: string;
  on_spawn?: (pid: number) => void;
  binary?: RedisBinary;
};

export type RedisServer = {
  /** Of a connection without a name. */
  url: string;
  /** With name and password. Throws if this Redis was started without users. */
  urlOf(user: RedisUser): string;
  port: number;
  pid: number;
  exited: ServerProcess['exited'];
  /** A clean end: what is in memory is in the AOF. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
};

/** Resolves when Redis has loaded its data and answers. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const binary = options.binary ?? (await redisBinary());
  mkdirSync(options.dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const log_file = options.log_file ?? join(options.dir, 'redis.log');
  const users_file = resolve(options.dir, 'users.acl');
  if (options.users) writeRedisUsers(users_file, options.users);
  // Redis would show only its address as its command line, and leftovers are told by theirs.
  const own = {
    dir: options.dir,
    port: String(port),
    'set-proc-title': 'no',
    ...(options.users && { aclfile: users_file }),
  };
  const settings = { ...options.settings, ...own };
  const server = spawnServer({
    command: binary.path,
    args: [
      join(projectFolder(), 'ops/redis.conf'),
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    ],
    env: { ...process.env, ...binary.env },
    log_file,
    on_spawn: options.on_spawn,
  });
  // Loading a large AOF takes its time: Redis answers LOADING until then.
  await untilServing('Redis', server, () => pong(port, options.users), { log_file, patience_ms: 120_000 });
  return {
    url: `redis://127.0.0.1:${port}`,
    urlOf(user) {
      if (!options.users) throw new Error('this Redis knows no users');
      return `redis://${user}:${encodeURIComponent(options.users.passwords[user])}@127.0.0.1:${port}`;
    },
    port,
    pid: server.pid,
    exited: server.exited,
    stop: () => server.end('SIGTERM', 3_000),
    kill: () => server.end('SIGKILL', 0),
  };
}

/** True if a Redis on 127.0.0.1:port serves commands. */
function pong(port: number, users: RedisUsers | undefined): Promise<boolean> {
  const name = users ? `AUTH operator ${users.passwords.operator}\r\n` : '';
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`${name}PING\r\n`));
    let answer = '';
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.includes('+PONG')) resolve(true);
      else if (!answer.includes('-')) return;
      socket.destroy();
    });
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(false));
  });
}
