/**
 * What is asked: an engine as a process of its own, with a reconciler and a sandbox PSP behind it, sales of a shop, and a
 * second shop that nobody here has a token of.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createSigner } from 'fast-jwt';
import pg from 'pg';
import { startTestSandbox } from '../../../payments/sandbox/testing/start.ts';
import { freePort } from '../../../platform/local/ports.ts';
import { lastWill } from '../../support/last-will.ts';
import { type Document, type Operation, type Role, readOperations } from './document.ts';

export type Shop = {
  tenant: string;
  token(sub: string, role: Role): string;
  /** On sale throughout. */
  sales: readonly string[];
  /** For who opens, pauses, closes. */
  gated: readonly string[];
  /** Whose name the other shop gives to a sale of its own. */
  twin: string;
  /** With the buyer whose it is. */
  orders: { id: string; buyer: string }[];
  endpoints: readonly string[];
};

export type World = {
  url: string;
  port: number;
  secret: string;
  operations: readonly Operation[];
  /** Since 1970. */
  started_s: number;
  shop: Shop;
  /** Its names are known to whoever asks, its tokens are not. */
  stranger: Shop;
  db: pg.Pool;
  /** Of the engine; throws if it has ended. */
  memoryKib(): number;
  /** What engine and reconciler have printed. */
  output(): string;
  alive(): boolean;
  stop(): Promise<void>;
};

export const SKUS = ['a', 'b', 'c'] as const;
export const STOCK: Readonly<Record<string, number>> = { a: 1_000_000, b: 200_000, c: 40 };
export const BUYERS = 60;

/** Longer than any run: what is nobody's doing must not change by itself. */
const DAY_SECONDS = 24 * 3_600;
const shipping_address = { name: 'Ada', line1: '1', city: 'London', postal_code: '1', country: 'GB' };

const MAIN = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export type WorldOptions = {
  redis_url: string;
  /** Its schema is made by the reconciler. */
  database_url: string;
  env?: Readonly<Record<string, string>>;
  orders?: number;
};

export async function startWorld(options: WorldOptions): Promise<World> {
  // What has been started, if the rest cannot be.
  const begun: (() => unknown)[] = [];
  try {
    return await openWorld(options, begun);
  } catch (error) {
    await Promise.all(begun.map((end) => end()));
    throw error;
  }
}

async function openWorld(
  { redis_url, database_url, env, orders = 48 }: WorldOptions,
  begun: (() => unknown)[],
): Promise<World> {
  const sandbox = await startTestSandbox();
  begun.push(() => sandbox.stop());
  const port = await freePort();
  const secret = randomBytes(32).toString('hex');
  const settings = {
    PATH: process.env.PATH,
    ...{ HOST: '127.0.0.1', PORT: String(port), RECONCILER_PORT: String(await freePort()) },
    ...{ REDIS_URL: redis_url, DATABASE_URL: database_url, JWT_SECRET: secret, DEMO_SALE: 'demo' },
    ...{ PSP_SANDBOX_URL: sandbox.url, PSP_SANDBOX_SECRET: sandbox.secret },
    ...{ RATE_LIMIT_BUYER: 'off', RATE_LIMIT_IP: 'off', LOG_LEVEL: 'warn' },
    WEBHOOK_SIGNING_KEY: randomBytes(32).toString('hex'),
    ...env,
  };
  let output = '';
  const start = (main: string): ChildProcess => {
    const child = fork(MAIN(main), {
      execArgv: ['--import', 'tsx'],
      env: settings,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    begun.push(() => child.kill('SIGKILL'));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        if (output.length < 1e7) output += chunk;
      });
    }
    return child;
  };
  const ready = async (child: ChildProcess): Promise<void> => {
    const said = await Promise.race([
      once(child, 'message').then(() => true),
      once(child, 'exit').then(() => false),
    ]);
    if (!said) throw new Error(output);
  };
  const reconciler = start('reconciler/main.ts');
  const engine = start('engine/main.ts');
  await Promise.all([ready(reconciler), ready(engine)]);
  const revoke = lastWill([engine.pid ?? 0, reconciler.pid ?? 0]);
  const url = `http://127.0.0.1:${port}`;
  const db = new pg.Pool({ connectionString: database_url, max: 2 });
  begun.push(() => db.end());
  const running = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

  const sign = createSigner({ key: secret, algorithm: 'HS256' });
  const started_s = Math.floor(Date.now() / 1000);
  const exp = started_s + DAY_SECONDS;
  const tokenOf = (tenant: string) => {
    const made = new Map<string, string>();
    return (sub: string, role: Role) => {
      const known = made.get(`${role} ${sub}`);
      if (known) return known;
      const token = sign({ sub, role: role === 'all' ? 'buyer' : role, tenant, aud: 'stampede', exp });
      made.set(`${role} ${sub}`, token);
      return token;
    };
  };

  /** Again while there is no answer yet: on a busy machine a sale takes its time to open. */
  async function ask(token: string, path: string, body: object, key = randomBytes(12).toString('hex')) {
    const headers = {
      ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(!path.endsWith('/webhooks') && { 'idempotency-key': key }),
    };
    for (let tries = 1; ; tries++) {
      const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      if (response.status !== 503 || tries === 100) throw new Error(`${path}: ${response.status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  async function openShop(name: string): Promise<Shop> {
    const tenant = `${name}-${randomBytes(5).toString('hex')}`;
    const token = tokenOf(tenant);
    const admin = token('operator', 'admin');
    const sell = async (change: object): Promise<string> => {
      const items = SKUS.map((sku) => ({ sku, name: sku, unit_price: 1_000, qty: STOCK[sku] }));
      const id = `sale-${randomBytes(5).toString('hex')}`;
      return (await ask(admin, '/v1/admin/sales', { id, currency: 'USD', items, ...change })).id;
    };
    const sales = await Promise.all([
      sell({ limit_per_buyer: 0, hold_seconds: DAY_SECONDS }),
      sell({ limit_per_buyer: 3 }),
      sell({ limit_per_buyer: 0, hold_seconds: 2 }),
      sell({ limit_per_buyer: 0, hold_seconds: DAY_SECONDS, capture: 'on_shipment' }),
    ]);
    const gated = await Promise.all([sell({}), sell({ limit_per_buyer: 0 }), sell({})]);
    const made: Shop['orders'] = [];
    for (let i = 0; i < orders; i++) {
      const buyer = `buyer-${i % BUYERS}`;
      const order = { sale_id: sales[i % 2 === 0 ? 0 : 3], items: [{ sku: 'a', qty: 1 }] };
      const paid =
        i % 3 === 0 ? undefined : { payment_method: { type: 'card', token: 'pm_ok' }, shipping_address };
      const path = paid ? '/v1/checkout' : '/v1/inventory/lock';
      made.push({ id: (await ask(token(buyer, 'buyer'), path, { ...order, ...paid })).order_id, buyer });
    }
    const endpoints: string[] = [];
    for (let i = 0; i < 12; i++) {
      const hook = { url: `https://hooks.shop.example/${i}`, types: ['order.delivered'] };
      endpoints.push((await ask(admin, '/v1/merchant/webhooks', hook)).id);
    }
    return { tenant, token, sales, gated, twin: await sell({ limit_per_buyer: 0 }), orders: made, endpoints };
  }

  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  const [shop, stranger] = await Promise.all([openShop('fuzz'), openShop('other')]);
  await untilPaid(db, stranger.tenant, orders);

  return {
    ...{ url, port, secret, started_s, shop, stranger, db },
    operations: readOperations(document),
    memoryKib() {
      const status = readFileSync(`/proc/${engine.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    },
    output: () => output,
    alive: () => running(engine) && running(reconciler),
    async stop() {
      await db.end();
      await Promise.all(
        [engine, reconciler].map(async (child) => {
          if (!running(child)) return;
          const gone = once(child, 'exit');
          child.kill('SIGTERM');
          const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
          await gone;
          clearTimeout(timer);
        }),
      );
      revoke();
      await sandbox.stop();
    },
  };
}

/** The orders on their way are where they go by themselves. */
async function untilPaid(db: pg.Pool, tenant: string, orders: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const { rows } = await db.query(
      `SELECT count(*)::int AS orders, count(*) FILTER (WHERE road = 'checkout' AND state <> 'confirmed')::int AS waiting
         FROM orders WHERE tenant = $1`,
      [tenant],
    );
    if (rows[0].orders === orders && rows[0].waiting === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('orders of the other shop are not paid');
}
