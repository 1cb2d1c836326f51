/**
 * A listening engine on real stores, with a reconciler behind it, for tests. Every answer it gives through
 * `call` is held against the API document.
 */
import { randomBytes } from 'node:crypto';
import { createSigner } from 'fast-jwt';
import { Registry } from 'prom-client';
import type { Method } from '../../engine/endpoint.ts';
import { type Engine, startEngine } from '../../engine/engine.ts';
import { enqueueAuthorize } from '../../payments/jobs/enqueue.ts';
import { createProviders } from '../../payments/providers.ts';
import { startTestSandbox, type TestSandbox } from '../../payments/sandbox/testing/start.ts';
import { loadConfig } from '../../platform/config.ts';
import { playedProviders } from '../../platform/local/providers.ts';
import { createLog } from '../../platform/log.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { prepareLedger } from '../../reconciler/prepare/prepare-ledger.ts';
import { createReconciler } from '../../reconciler/reconciler.ts';
import { startSaga } from '../../reconciler/saga/saga.ts';
import { createSaleLocks } from '../../reconciler/sale-locks.ts';
import { createDocumentCheck } from './document-check.ts';
import { asLedgerRole, testDatabase } from './postgres.ts';
import { testRedis } from './redis.ts';
import { asRedisUser } from './redis-users.ts';

export type Call = {
  token?: string;
  key?: string;
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
};

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type Answered = { status: number; headers: Headers; body: any; text: string };

export type TestEngine = {
  url: string;
  port: number;
  secret: string;
  /** All sales of these tests are this tenant's, who has the shared Redis to themselves. */
  tenant: string;
  redis_url: string;
  database_url: string;
  db: Pool;
  engine: Engine;
  registry: Registry;
  sandbox?: TestSandbox;
  buyer(sub?: string, claims?: object): string;
  admin: string;
  call(method: Method, path: string, call?: Call): Promise<Answered>;
  /** A checkout of one unit of `a`, changed by `change`. */
  buy(
    sale_id: string,
    change?: Partial<Call> & { items?: unknown; payment_token?: string; contact?: object },
  ): Promise<Answered>;
  /** A new sale, on sale: 100 each of `a` and `b` at 1000 and 250, no limit. Returns its id. */
  sale(change?: object): Promise<string>;
  /** Everything the engine has logged. */
  logged(): string;
  /** Ends the reconciler and the saga; what is reserved from now on stays out of the ledger. */
  stopReconciler(): Promise<void>;
  stop(): Promise<void>;
};

export type TestEngineOptions = {
  env?: Record<string, string>;
  /** With a sandbox PSP and a saga. */
  psp?: boolean;
  /** `logged` tells what the reconciler and the saga log, too. */
  workers_log?: boolean;
  redis_url?: string;
  database_url?: string;
  pages?: string;
};

export const SECRET = 'a-secret-for-tests-that-nobody-guesses';

export const ADDRESS = {
  name: 'Ada Lovelace',
  line1: '12 St James Square',
  city: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
};

export const newKey = (): string => `key-${randomBytes(12).toString('hex')}`;

export async function startTestEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const shared = testRedis();
  const { tenant } = shared;
  const redis_url = options.redis_url ?? shared.url;
  const database_url = options.database_url ?? (await testDatabase());
  await prepareLedger({ url: database_url });
  const sandbox = options.psp ? await startTestSandbox() : undefined;
  const config = loadConfig({
    HOST: '127.0.0.1',
    JWT_SECRET: SECRET,
    RATE_LIMIT_BUYER: 'off',
    RATE_LIMIT_IP: 'off',
    LOG_LEVEL: 'debug',
    PSP_SANDBOX_URL: sandbox?.url,
    PSP_SANDBOX_SECRET: sandbox?.secret ?? 'no-sandbox',
    // Every provider, played by the sandbox.
    ...(sandbox && playedProviders({ settings: {}, secret: sandbox.secret, sandbox_url: sandbox.url })),
    ...options.env,
  });
  let text = '';
  const destination = {
    write: (line: string) => {
      text += line;
    },
  };
  const log = createLog({ level: config.log_level, service: 'engine', destination });
  const workers = options.workers_log
    ? createLog({ level: 'debug', service: 'reconciler', destination })
    : createLog({ level: 'silent', service: 'test' });
  const on_error = () => {};
  // Tests look into tables as the owner; what is tested has the rights of the real processes, on a ledger of our own.
  const ledgerUrlOf = (role: 'engine' | 'reconciler') =>
    options.database_url ? database_url : asLedgerRole(database_url, role);
  const db = createPool({ url: database_url, max: 4, application_name: 'test', on_error });
  const engineDb = createPool({
    url: ledgerUrlOf('engine'),
    max: 10,
    application_name: 'test-engine',
    on_error,
  });
  // On the Redis of all tests with the rights of the real ones; a test's own comes as it says.
  const redisUrlOf = (user: 'engine' | 'reconciler') =>
    options.redis_url ? redis_url : asRedisUser(redis_url, user);
  const redis = connectRedis(redisUrlOf('engine'));
  redis.on('error', on_error);
  await redisReady(redis, 5_000);
  const providers = createProviders(config);
  const registry = new Registry();
  const engine = await startEngine({
    ...{ config, port: 0, redis, db: engineDb, providers, log, registry },
    prepared: () => true,
    pages: options.pages ?? '/nonexistent',
  });
  const reconciling = await startReconciling();

  async function startReconciling(): Promise<{ stop(): Promise<void> }> {
    const url = ledgerUrlOf('reconciler');
    const pool = createPool({ url, max: 10, application_name: 'test-reconciler', on_error });
    const connection = connectRedis(redisUrlOf('reconciler'));
    connection.on('error', on_error);
    const locks = createSaleLocks({ url, application_name: 'test-locks', on_error });
    const reconciler = createReconciler({
      ...{ db: pool, redis: connection, locks, log: workers, registry: new Registry() },
      ...{ enqueueAuthorize, trim_age_ms: 3_600_000, grace_ms: 0 },
    });
    const saga = sandbox
      ? await startSaga({
          ...{ pool, database_url: url, providers, registry: new Registry(), log: workers },
          public_url: 'http://shop.test',
        })
      : undefined;
    const ending = new AbortController();
    const running = reconciler.run(ending.signal);
    let stopped: Promise<void> | undefined;
    const stop = async () => {
      ending.abort();
      await Promise.all([running, saga?.stop()]);
      await locks.close();
      await pool.end();
      connection.disconnect();
    };
    return {
      stop() {
        stopped ??= stop();
        return stopped;
      },
    };
  }

  const url = `http://127.0.0.1:${engine.port}`;
  const check = createDocumentCheck(engine.routes);
  const sign = createSigner({ key: SECRET, algorithm: 'HS256' });
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const token = (sub: string, claims: object) => sign({ sub, tenant, aud: 'stampede', exp, ...claims });
  const buyer = (sub = `buyer-${randomBytes(6).toString('hex')}`, claims = {}) => token(sub, claims);
  const admin = token('operator', { role: 'admin' });

  async function call(method: Method, path: string, request: Call = {}): Promise<Answered> {
    const { token, key, body, raw, headers } = request;
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(key && { 'idempotency-key': key }),
        ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
    const text = await response.text();
    const is_json = (response.headers.get('content-type') ?? '').includes('json');
    const answered = {
      status: response.status,
      headers: response.headers,
      text,
      body: is_json ? JSON.parse(text) : text,
    };
    check(method, path, answered);
    return answered;
  }

  return {
    ...{
      url,
      port: engine.port,
      secret: SECRET,
      tenant,
      redis_url,
      database_url,
      db,
      engine,
      registry,
      sandbox,
    },
    ...{ buyer, admin, call },
    buy(sale_id, { items = [{ sku: 'a', qty: 1 }], payment_token = 'pm_ok', contact, ...change } = {}) {
      return call('POST', '/v1/checkout', {
        token: buyer(),
        key: newKey(),
        body: {
          sale_id,
          items,
          payment_method: { type: 'card', token: payment_token },
          shipping_address: ADDRESS,
          contact,
        },
        ...change,
      });
    },
    async sale(change = {}) {
      const id = `s-${randomBytes(6).toString('hex')}`;
      const items = [
        { sku: 'a', name: 'A', unit_price: 1_000, qty: 100 },
        { sku: 'b', name: 'B', unit_price: 250, qty: 100 },
      ];
      const body = { id, currency: 'USD', limit_per_buyer: 0, items, ...change };
      const made = await call('POST', '/v1/admin/sales', { token: admin, body });
      if (made.status !== 201) throw new Error(`no sale: ${made.status} ${made.text}`);
      return made.body.id;
    },
    logged: () => text,
    stopReconciler: () => reconciling.stop(),
    async stop() {
      await engine.close(500);
      await reconciling.stop();
      providers.close();
      redis.disconnect();
      await Promise.all([db.end(), engineDb.end()]);
      await sandbox?.stop();
    },
  };
}
