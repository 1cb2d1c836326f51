/** Starts and ends a real Postgres cluster in a folder: initdb at the first start, crash recovery at any later one. */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './ports.ts';
import { type Account, accountFolder, postgresAccount, removeAccountFolder } from './postgres-account.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { describeProcess } from './processes.ts';
import { logTail, type ServerProcess, spawnServer, untilServing } from './server-process.ts';

const NAME = 'stampede';
const RELEASE_MS = 15_000;

export type PostgresOptions = {
  /** Holds `cluster` and `password`. Made if missing; starting again on the same folder continues with its data. */
  dir: string;
  /** Default: a free one. */
  port?: number;
  /** Settings over ours, as in `{ fsync: 'off' }` (tests only). */
  settings?: Readonly<Record<string, string>>;
  /** Default: postgres.log in `dir`. */
  log_file?: string;
  /** Of the server, over our own. */
  env?: Readonly<Record<string, string>>;
  on_spawn?: (pid: number) => void;
};

export type PostgresServer = {
  /** Of the database `stampede`, with the password of a role that owns everything in this cluster. */
  url: string;
  port: number;
  pid: number;
  exited: ServerProcess['exited'];
  /** A clean end (fast shutdown): open transactions are rolled back. */
  stop(): Promise<void>;
  /** kill -9 of the postmaster; its children notice and end by themselves. */
  kill(): Promise<void>;
};

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // What the ledger has committed it must know after power loss.
  fsync: 'on',
  synchronous_commit: 'on',
  // Names of orders are hashes: their indexes are written everywhere, so what lives must fit into memory, and after each
  // checkpoint a page goes whole into the WAL.
  shared_buffers: `${bufferMegabytes()}MB`,
  max_wal_size: '4GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** A quarter of the memory that we may use, as PostgreSQL's manual advises, and 1 GiB at most. Only what is used of it is taken. */
function bufferMegabytes(): number {
  const bytes = Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);
  return Math.max(128, Math.min(1024, Math.floor(bytes / 4 / 2 ** 20)));
}

/** Resolves when Postgres has recovered and answers. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const account = postgresAccount();
  const binaries = postgresBinaries(account);
  mkdirSync(options.dir, { recursive: true, mode: 0o711 });
  const settings = { ...SETTINGS, ...options.settings };
  const password = clusterPassword(options.dir);
  const cluster = await preparedCluster(options, account, binaries, password);
  const log_file = options.log_file ?? join(options.dir, 'postgres.log');
  const port = options.port ?? (await freePort());
  const url = (database: string) => `postgres://${NAME}:${password}@127.0.0.1:${port}/${database}`;
  disownPidFile(cluster);
  const server = await whenReleased(async () => {
    const started = spawnServer({
      command: binaries.postgres,
      args: [
        ...['-D', cluster, '-p', String(port)],
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      log_file,
      ...(options.env && { env: { ...process.env, ...options.env } }),
      on_spawn: options.on_spawn,
      ...account,
    });
    await untilServing('Postgres', started, () => answers(url('postgres')), {
      log_file,
      patience_ms: 120_000,
    });
    return started;
  });
  await ensureDatabase(url('postgres'));
  return {
    url: url(NAME),
    port,
    pid: server.pid,
    exited: server.exited,
    stop: () => server.end('SIGINT', 3_000),
    kill: () => server.end('SIGKILL', 0),
  };
}

/** Removes `dir` and the cluster, wherever it lies. For a Postgres that does not run. */
export function removePostgres(dir: string): void {
  removeAccountFolder(join(dir, 'cluster'));
  rmSync(dir, { recursive: true, force: true });
}

function clusterPassword(dir: string): string {
  const file = join(dir, 'password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/** The cluster's folder after initdb. An initdb that was cut off leaves nothing that looks like a cluster. */
async function preparedCluster(
  options: PostgresOptions,
  account: Account,
  binaries: PostgresBinaries,
  password: string,
): Promise<string> {
  const home = accountFolder(account, join(options.dir, 'cluster'));
  const cluster = join(home, 'data');
  if (existsSync(cluster)) return cluster;
  const work = join(home, 'initdb');
  rmSync(work, { recursive: true, force: true });
  const password_file = join(home, 'initdb.password');
  writeFileSync(password_file, password, { mode: 0o600 });
  if (account.uid !== undefined) chownSync(password_file, account.uid, account.gid ?? account.uid);
  const log_file = options.log_file ?? join(options.dir, 'postgres.log');
  const initdb = spawnServer({
    command: binaries.initdb,
    args: [
      ...['-D', work, '--username', NAME, `--pwfile=${password_file}`, '--auth=scram-sha-256'],
      // The same order and case rules on every system, whatever locales it has.
      ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ...(options.settings?.fsync === 'off' ? ['--no-sync'] : []),
    ],
    log_file,
    on_spawn: options.on_spawn,
    ...account,
  });
  const { code } = await initdb.exited;
  rmSync(password_file, { force: true });
  if (code !== 0) throw new Error(`initdb failed. The end of ${log_file}:\n${logTail(log_file)}`);
  renameSync(work, cluster);
  return cluster;
}

/**
 * Postgres does not start while its pid file names a living process, though that id may by now belong
 * to another program (common after a restart of a container). Such an id is replaced by our own, which
 * Postgres, as our child, knows not to mean; the rest of the file still guards the shared memory.
 */
function disownPidFile(cluster: string): void {
  const file = join(cluster, 'postmaster.pid');
  if (!existsSync(file)) return;
  const [pid, ...rest] = readFileSync(file, 'utf8').split('\n');
  const living = describeProcess(Number(pid));
  // Also when nothing living has the id: a zombie is enough for Postgres to give up.
  if (!living?.command.includes(cluster)) writeFileSync(file, [process.pid, ...rest].join('\n'));
}

/** Children of a killed postmaster need a moment to notice and let go of the cluster: tries until they have. */
async function whenReleased(start: () => Promise<ServerProcess>): Promise<ServerProcess> {
  const deadline_ms = Date.now() + RELEASE_MS;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const held = error instanceof Error && error.message.includes('pre-existing shared memory block');
      if (!held || Date.now() > deadline_ms) throw error;
      await sleep(200);
    }
  }
}

function answers(url: string): Promise<boolean> {
  return withClient(url, () => Promise.resolve(true)).catch(() => false);
}

async function ensureDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [NAME]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
  });
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // A server that goes away in mid-query also rejects the query; this only keeps the event from ending us.
  client.on('error', () => {});
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}
