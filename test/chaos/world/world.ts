/**
 * The system under test as real processes: two engines, two reconcilers, Redis with an asynchronous replica, Postgres and
 * the sandbox PSP, every connection through a proxy of its own.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../../ledger/migrate.ts';
import { startNodeProcess } from '../../../platform/local/node-process.ts';
import { freePort } from '../../../platform/local/ports.ts';
import { removePostgres, startPostgres } from '../../../platform/local/postgres-server.ts';
import { lastWill } from '../../support/last-will.ts';
import { asRedisUser } from '../../support/redis-users.ts';
import { createLinks, type Links, local } from './links.ts';
import { type Managed, manage } from './managed.ts';
import { type RedisPair, startRedisPair } from './redis-pair.ts';
import { type TroubleMaker, troubleMaker } from './trouble.ts';

export type World = {
  dir: string;
  jwt_secret: string;
  psp_secret: string;
  /** Where clients reach each engine, through its proxy. */
  engine_urls: readonly string[];
  /** Past all proxies: for who watches, and who judges. */
  database_url: string;
  sandbox_url: string;
  sandbox_journal: string;
  links: Links;
  redis: RedisPair;
  trouble: TroubleMaker;
  postgres: Managed;
  sandbox: Managed;
  engines: readonly Managed[];
  reconcilers: readonly Managed[];
  /** Processes that ended although nobody had asked them to. */
  surprises(): string[];
  close(): Promise<void>;
};

export type WorldOptions = {
  engines?: number;
  reconcilers?: number;
  /** With the library for disks and clocks. */
  troubles?: boolean;
  /** Over ops/redis.conf. */
  redis_settings?: Readonly<Record<string, string>>;
};

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-chaos-'));
  // Postgres is another account under root, and has to get in.
  chmodSync(dir, 0o711);
  const logs = join(dir, 'logs');
  mkdirSync(logs);
  const jwt_secret = randomBytes(32).toString('base64url');
  const psp_secret = randomBytes(32).toString('base64url');
  const links = createLinks();
  const trouble = options.troubles
    ? await troubleMaker(dir)
    : { env: () => ({}), set: () => {}, missing: 'not asked for' };
  const postgres_dir = join(dir, 'postgres');
  const living = new Map<string, number>();
  let revoke = lastWill([], dir);
  /** Whatever runs now ends with us, in whatever way we end. */
  const running = (name: string, pid: number) => {
    living.set(name, pid);
    revoke();
    revoke = lastWill([...living.values()], dir);
  };

  const postgres_port = await freePort();
  let database_url = '';
  const postgres = await manage('postgres', async () => {
    const server = await startPostgres({
      ...{ dir: postgres_dir, port: postgres_port, env: trouble.env('postgres') },
      log_file: join(logs, 'postgres.log'),
      on_spawn: (pid) => running('postgres', pid),
    });
    database_url = server.url;
    return server;
  });
  await migrate(database_url);
  const redis = await startRedisPair({
    ...{ dir, links, trouble, settings: options.redis_settings ?? {} },
    on_spawn: running,
  });

  const sandbox_port = await freePort();
  const sandbox_url = `http://127.0.0.1:${sandbox_port}`;
  const sandbox_dir = join(dir, 'sandbox');
  const engine_ports = await Promise.all(Array.from({ length: options.engines ?? 2 }, () => freePort()));
  const hooks = await links.open('sandbox-engine', local(engine_ports[0] as number));

  const node = (name: string, main: string, env: Record<string, string>) =>
    manage(name, async () => {
      let pid = 0;
      const { exited } = await startNodeProcess({
        ...{ name, main, log_file: join(logs, `${name}.log`), drain_ms: 5_000 },
        env: { ...process.env, ...shared, ...trouble.env(name), ...env },
        on_spawn: (spawned) => {
          pid = spawned;
          running(name, spawned);
        },
      });
      return { pid, exited };
    });

  const shared = {
    ...{ HOST: '127.0.0.1', LOG_LEVEL: 'info', JWT_SECRET: jwt_secret, NODE_ENV: 'production' },
    ...{ RATE_LIMIT_IP: 'off', RATE_LIMIT_BUYER: 'off' },
    ...{ PSP: 'sandbox', PSP_SANDBOX_SECRET: psp_secret },
    SANDBOX_PORT: String(sandbox_port),
    SANDBOX_DIR: sandbox_dir,
    PSP_SANDBOX_WEBHOOK_URL: `http://127.0.0.1:${hooks}/v1/webhooks/sandbox`,
  };
  /** Its own ways to the stores and the provider. */
  const stores = async (name: string, user: 'engine' | 'reconciler') => ({
    REDIS_URL: through(
      asRedisUser(redis.primary().url, user),
      await links.open(`${name}-redis`, local(redis.primary().port)),
    ),
    DATABASE_URL: through(database_url, await links.open(`${name}-postgres`, local(postgres_port))),
    PSP_SANDBOX_URL: through(sandbox_url, await links.open(`${name}-sandbox`, local(sandbox_port))),
  });

  const sandbox = await node('sandbox', 'payments/sandbox/main.js', {});
  const reconcilers = await Promise.all(
    Array.from({ length: options.reconcilers ?? 2 }, async (_, i) => {
      const name = `reconciler-${i}`;
      const env = { ...(await stores(name, 'reconciler')), RECONCILER_PORT: String(await freePort()) };
      return node(name, 'reconciler/main.js', env);
    }),
  );
  const engines = await Promise.all(
    engine_ports.map(async (port, i) => {
      const name = `engine-${i}`;
      return node(name, 'engine/main.js', { ...(await stores(name, 'engine')), PORT: String(port) });
    }),
  );
  const engine_urls = await Promise.all(
    engine_ports.map(
      async (port, i) => `http://127.0.0.1:${await links.open(`clients-engine-${i}`, local(port))}`,
    ),
  );
  const all = [...engines, ...reconcilers, sandbox];

  return {
    ...{ dir, jwt_secret, psp_secret, engine_urls, database_url, sandbox_url },
    sandbox_journal: join(sandbox_dir, 'sandbox.jsonl'),
    ...{ links, redis, trouble, postgres, sandbox, engines, reconcilers },
    surprises: () => [...[...all, postgres].flatMap(({ surprises }) => surprises), ...redis.surprises()],
    async close() {
      await Promise.all(all.map((part) => part.close()));
      await Promise.all([postgres.close(), redis.close()]);
      await links.close();
      removePostgres(postgres_dir);
      rmSync(dir, { recursive: true, force: true });
      revoke();
    },
  };
}

/** The same URL, reached at another port of this machine. */
function through(url: string, port: number): string {
  const changed = new URL(url);
  changed.host = `127.0.0.1:${port}`;
  return changed.href.replace(/\/$/, '');
}
