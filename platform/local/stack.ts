/** The local stack: what is started with what settings, and the order in which it ends. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrate } from '../../ledger/migrate.ts';
import { LEDGER_ROLES, type LedgerRole, roleName, setLogin } from '../../ledger/roles/set-login.ts';
import { createPool } from '../postgres.ts';
import { connectRedis, redisReady } from '../redis.ts';
import { checkRedis, type RedisDurability } from '../redis-check.ts';
import { type Demo, presentDemo } from './demo-sale.ts';
import { type Kept, keepRunning, type Running } from './keep-running.ts';
import { freshLog } from './logs.ts';
import { RECONCILER_NODE_OPTIONS } from './node-options.ts';
import { startNodeProcess } from './node-process.ts';
import { freePort } from './ports.ts';
import { startPostgres } from './postgres-server.ts';
import type { ProcessRecord } from './process-record.ts';
import { NO_PROVIDER_KEYS, playedProviders } from './providers.ts';
import { redisBinary } from './redis-binary.ts';
import { type RedisServer, startRedis } from './redis-server.ts';
import type { RedisUser } from './redis-users.ts';
import type { LocalSettings } from './settings.ts';
import type { StackState } from './state.ts';

/** Addresses at which the engine is also reached as localhost. */
const LOCAL_HOSTS = ['127.0.0.1', '0.0.0.0', '::', 'localhost'];

type Part = 'engine' | 'reconciler' | 'sandbox' | 'mailbox' | 'Redis' | 'Postgres';

/** Who ends first may still need those behind: an engine that drains needs Redis. */
const ENDS: readonly (readonly Part[])[] = [
  ['engine'],
  ['reconciler'],
  ['sandbox', 'mailbox'],
  ['Redis', 'Postgres'],
];

/** One after another under the 10 s that a SIGTERM may take. What is not gone then is killed, and nothing is lost by that. */
const PATIENCE_MS: Record<Part, number> = {
  engine: 3_000,
  reconciler: 2_000,
  sandbox: 500,
  mailbox: 500,
  Redis: 3_000,
  Postgres: 3_000,
};

export type StackParts = {
  settings: LocalSettings;
  /** Ports chosen are written into it. */
  state: StackState;
  record: ProcessRecord;
  say: (line: string) => void;
};

export type StackFacts = {
  url: string;
  reconciler_url: string;
  sandbox_url: string;
  /** Where mails are read; a text where they go out. */
  mail: string;
  redis: string;
  postgres: string;
  durability: RedisDurability;
  demo: Demo;
};

/** A store as its users reach it. */
type Store<User> = { urlOf(user: User): string; text: string };

export type LocalStack = {
  /** Resolves when everything serves. Rejects if a part does not start; call `stop` then, too. */
  start(): Promise<StackFacts>;
  /** Drains and ends everything, at any time. Resolves when no process is left. */
  stop(): Promise<void>;
};

export function localStack({ settings, state, record, say }: StackParts): LocalStack {
  const kept = new Map<Part, Kept>();
  let stopping = false;
  const logs = join(settings.data_dir, 'logs');

  const keep = async (part: Part, start: () => Promise<Running>): Promise<void> => {
    const running = await keepRunning(part, start, say);
    kept.set(part, running);
    // The end came while it was starting.
    if (stopping) await running.stop();
    if (stopping) throw new Error(`${part} is not wanted any more`);
  };

  /** Redis and Postgres, ours or those named. In ours, each process has a name of its own and the rights it needs. */
  async function startRedisPart(): Promise<Store<RedisUser>> {
    const { redis_url } = settings;
    if (redis_url) return { urlOf: () => redis_url, text: `yours, at ${withoutPassword(redis_url)}` };
    const binary = await redisBinary(say);
    const port = await freePort(state.ports.redis);
    state.ports.redis = port;
    const options = {
      dir: join(settings.data_dir, 'redis'),
      port,
      binary,
      users: { passwords: state.redis_passwords },
      log_file: freshLog(logs, 'redis'),
      on_spawn: (pid: number) => record.add('Redis', pid, 'SIGTERM'),
    };
    let server: RedisServer | undefined;
    await keep('Redis', async () => {
      server = await startRedis(options);
      return server;
    });
    return {
      urlOf: (user) => server?.urlOf(user) ?? '',
      text: `${binary.version}, port ${port}`,
    };
  }

  async function startPostgresPart(): Promise<Store<'owner' | LedgerRole>> {
    const { database_url, migrate_database_url = database_url } = settings;
    if (database_url) {
      return {
        urlOf: (role) => (role === 'owner' ? (migrate_database_url ?? database_url) : database_url),
        text: `yours, at ${withoutPassword(database_url)}`,
      };
    }
    const port = await freePort(state.ports.postgres);
    state.ports.postgres = port;
    const options = {
      dir: join(settings.data_dir, 'postgres'),
      port,
      log_file: freshLog(logs, 'postgres'),
      on_spawn: (pid: number) => record.add('Postgres', pid, 'SIGINT'),
    };
    let url = '';
    await keep('Postgres', async () => {
      const server = await startPostgres(options);
      url = server.url;
      return server;
    });
    return {
      urlOf: (role) => (role === 'owner' ? url : asRole(url, role, state.ledger_passwords[role])),
      text: `18, port ${port}`,
    };
  }

  /** Free ports for the mailbox, the same as last time where they can be. */
  async function mailboxPorts(): Promise<{ page: number; smtp: number }> {
    const page = await freePort(state.ports.mailbox);
    const smtp = await freePort(state.ports.mailbox_smtp);
    Object.assign(state.ports, { mailbox: page, mailbox_smtp: smtp });
    return { page, smtp };
  }

  /** For the mailbox, and for whoever sends mail to it. */
  function mailboxEnv({ page, smtp }: { page: number; smtp: number }) {
    return {
      MAILBOX_PORT: String(page),
      MAILBOX_SMTP_PORT: String(smtp),
      MAILBOX_DIR: join(settings.data_dir, 'mailbox'),
      SMTP_URL: `smtp://127.0.0.1:${smtp}`,
      MAIL_FROM: settings.mail_from ?? 'orders@stampede.example',
    };
  }

  async function start(): Promise<StackFacts> {
    const [redis, postgres] = await Promise.all([startRedisPart(), startPostgresPart()]);
    const owner_url = postgres.urlOf('owner');
    const [durability] = await Promise.all([redisDurability(redis.urlOf('operator')), migrated(owner_url)]);
    if (!settings.database_url) await letIn(owner_url, state.ledger_passwords);
    const demo = await presentDemo(state.demo, {
      psp: settings.psp,
      database_url: owner_url,
      now_ms: Date.now(),
    });
    const reconciler_port = settings.reconciler_port ?? (await freePort(state.ports.reconciler));
    const sandbox_port = settings.sandbox_port ?? (await freePort(state.ports.sandbox));
    Object.assign(state.ports, { reconciler: reconciler_port, sandbox: sandbox_port });
    const mailbox = settings.smtp_url ? undefined : await mailboxPorts();
    const host = hostOf(settings.host);
    const psp_secret = settings.psp_sandbox_secret ?? state.psp_secret;
    const played = { settings, secret: psp_secret, sandbox_url: `http://127.0.0.1:${sandbox_port}` };
    const env = {
      ...process.env,
      ...playedProviders(played),
      LOCAL_STACK: '1',
      PORT: String(settings.port),
      HOST: '127.0.0.1',
      DATA_DIR: settings.data_dir,
      // Who works on the stores gets its own below; the others none.
      REDIS_URL: '',
      DATABASE_URL: '',
      MIGRATE_DATABASE_URL: '',
      // Whoever brings a JWKS wants only its tokens.
      JWT_SECRET: settings.jwt_secret ?? (settings.jwt_jwks_url ? undefined : state.jwt_secret),
      RECONCILER_PORT: String(reconciler_port),
      SANDBOX_PORT: String(sandbox_port),
      SANDBOX_DIR: join(settings.data_dir, 'sandbox'),
      PSP_SANDBOX_URL: played.sandbox_url,
      PSP_SANDBOX_SECRET: psp_secret,
      PSP_SANDBOX_WEBHOOK_URL: `http://${host === 'localhost' ? '127.0.0.1' : host}:${settings.port}/v1/webhooks/sandbox`,
      WEBHOOK_SIGNING_KEY: settings.webhook_signing_key ?? state.webhook_key,
      PUBLIC_URL: process.env.PUBLIC_URL || `http://${host}:${settings.port}`,
      DEMO_SALE: demo.id,
      ...(mailbox && mailboxEnv(mailbox)),
    };
    const startProcess = (name: 'engine' | 'reconciler' | 'sandbox' | 'mailbox', main: string, more = {}) => {
      const on_spawn = (pid: number) => record.add(name, pid, 'SIGTERM');
      const options = {
        name,
        main,
        ...(name === 'reconciler' && { node_options: RECONCILER_NODE_OPTIONS }),
        env: { ...env, ...more },
        log_file: freshLog(logs, name),
        on_spawn,
        drain_ms: PATIENCE_MS[name],
      };
      return keep(name, () => startNodeProcess(options));
    };
    const storesOf = (name: 'engine' | 'reconciler') => ({
      REDIS_URL: redis.urlOf(name),
      DATABASE_URL: postgres.urlOf(name),
    });
    await Promise.all([
      startProcess('sandbox', 'payments/sandbox/main.js', NO_PROVIDER_KEYS),
      mailbox && startProcess('mailbox', 'platform/local/mailbox/main.js'),
      startProcess('reconciler', 'reconciler/main.js', {
        ...storesOf('reconciler'),
        // It keeps the ledger's schema, as the owner; all its work is done as itself.
        MIGRATE_DATABASE_URL: owner_url,
      }),
      // Only the engine is for others, if anything is.
      startProcess('engine', 'engine/main.js', { ...storesOf('engine'), HOST: settings.host }),
    ]);
    return {
      url: `http://${host}:${settings.port}`,
      reconciler_url: `http://localhost:${reconciler_port}`,
      sandbox_url: `http://localhost:${sandbox_port}`,
      mail: mailbox ? `http://localhost:${mailbox.page}` : `through ${new URL(settings.smtp_url ?? '').host}`,
      redis: redis.text,
      postgres: postgres.text,
      durability,
      demo,
    };
  }

  function end(part: Part): Promise<void> {
    // A part that is just being started again may take longer; the record below ends it.
    const patience = sleep(PATIENCE_MS[part] + 200, undefined, { ref: false });
    return Promise.race([kept.get(part)?.stop() ?? Promise.resolve(), patience]);
  }

  async function stop(): Promise<void> {
    stopping = true;
    for (const parts of ENDS) await Promise.all(parts.map(end));
    // What was just being started, and what did not end in time.
    await record.close();
  }

  return { start, stop };
}

/** As it stands in a URL. */
function hostOf(host: string): string {
  if (LOCAL_HOSTS.includes(host)) return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

async function migrated(url: string): Promise<void> {
  try {
    await migrate(url);
  } catch (error) {
    // Several refused addresses are one error without words.
    const { message, code } = error as { message?: string; code?: string };
    throw new Error(`Postgres at ${withoutPassword(url)} can't be used: ${message || code}`, {
      cause: error,
    });
  }
}

function asRole(url: string, role: LedgerRole, password: string): string {
  const named = new URL(url);
  named.username = roleName(role);
  named.password = password;
  return named.href;
}

async function letIn(url: string, passwords: Readonly<Record<LedgerRole, string>>): Promise<void> {
  const db = createPool({ url, max: 1, application_name: 'stampede-local', on_error: () => {} });
  try {
    for (const role of LEDGER_ROLES) await setLogin(db, role, passwords[role]);
  } finally {
    await db.end();
  }
}

async function redisDurability(url: string): Promise<RedisDurability> {
  const redis = connectRedis(url);
  redis.on('error', () => {});
  try {
    await redisReady(redis, 5_000).catch(() => {
      throw new Error(`No Redis answers at ${withoutPassword(url)}`);
    });
    return await checkRedis(redis);
  } finally {
    redis.disconnect();
  }
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`;
}
