/** The local stack: what is started with what settings, and the order in which it ends. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrate } from '../../ledger/migrate.ts';
import { connectRedis, redisReady } from '../redis.ts';
import { checkRedis, type RedisDurability } from '../redis-check.ts';
import { type Demo, presentDemo } from './demo-sale.ts';
import { type Kept, keepRunning, type Running } from './keep-running.ts';
import { freshLog } from './logs.ts';
import { startNodeProcess } from './node-process.ts';
import { freePort } from './ports.ts';
import { startPostgres } from './postgres-server.ts';
import type { ProcessRecord } from './process-record.ts';
import { NO_PROVIDER_KEYS, playedProviders } from './providers.ts';
import { redisBinary } from './redis-binary.ts';
import { startRedis } from './redis-server.ts';
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

  /** Redis and Postgres, ours or those named. */
  async function startRedisPart(): Promise<{ url: string; text: string }> {
    if (settings.redis_url)
      return { url: settings.redis_url, text: `yours, at ${withoutPassword(settings.redis_url)}` };
    const binary = await redisBinary(say);
    const port = await freePort(state.ports.redis);
    state.ports.redis = port;
    const options = {
      dir: join(settings.data_dir, 'redis'),
      port,
      binary,
      log_file: freshLog(logs, 'redis'),
      on_spawn: (pid: number) => record.add('Redis', pid, 'SIGTERM'),
    };
    await keep('Redis', () => startRedis(options));
    return { url: `redis://127.0.0.1:${port}`, text: `${binary.version}, port ${port}` };
  }

  async function startPostgresPart(): Promise<{ url: string; text: string }> {
    if (settings.database_url) {
      return { url: settings.database_url, text: `yours, at ${withoutPassword(settings.database_url)}` };
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
    return { url, text: `18, port ${port}` };
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
    const [durability] = await Promise.all([redisDurability(redis.url), migrated(postgres.url)]);
    const demo = await presentDemo(state.demo, {
      psp: settings.psp,
      database_url: postgres.url,
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
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
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
        env: { ...env, ...more },
        log_file: freshLog(logs, name),
        on_spawn,
        drain_ms: PATIENCE_MS[name],
      };
      return keep(name, () => startNodeProcess(options));
    };
    await Promise.all([
      startProcess('sandbox', 'payments/sandbox/main.js', NO_PROVIDER_KEYS),
      mailbox && startProcess('mailbox', 'platform/local/mailbox/main.js'),
      startProcess('reconciler', 'reconciler/main.js'),
      // Only the engine is for others, if anything is.
      startProcess('engine', 'engine/main.js', { HOST: settings.host }),
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
