/** The stack that is measured: as `npm start` makes it, in a folder of its own, without rate limits. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { createSale } from '../../ledger/sales/create-sale.ts';
import { saleKeys } from '../../lua/keys.ts';
import { LOCAL_RECONCILER_NICE } from '../../platform/config.ts';
import { removePostgres, startPostgres } from '../../platform/local/postgres-server.ts';
import { startRedis } from '../../platform/local/redis-server.ts';
import { createPool, type Pool, rows } from '../../platform/postgres.ts';
import { connectRedis } from '../../platform/redis.ts';
import { dataFolder, type RunningStack, startStack } from '../../test/e2e/support/stack.ts';
import { lastWill } from '../../test/support/last-will.ts';
import { readCounts } from './counts.ts';
import type { Spot } from './measure.ts';

export type World = {
  stack: RunningStack;
  /** Where checkouts go, with the processes whose CPU counts. */
  spot: Spot;
  /** A sale on sale now, with `qty` of each SKU. Its id. */
  sale(terms: SaleTerms): Promise<string>;
  /** Of a process that works on the same stores. */
  env: Readonly<Record<'REDIS_URL' | 'DATABASE_URL' | 'JWT_SECRET', string>>;
  setRedis(setting: string, value: string): Promise<void>;
  /** The ledger stops following (SIGSTOP of the reconciler) until the returned function is called. */
  holdBack(): () => void;
  /** Runs `work` without the reconciler, whose work for earlier runs would slow what is measured. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Nothing if the books of these sales are in order; else what is wrong. Waits until the ledger has everything. */
  audit(sales: readonly string[]): Promise<string[]>;
  close(): Promise<void>;
};

export type SaleTerms = { skus: number; qty: number; limit?: number; hold_seconds?: number };

export const UNIT_PRICE = 1_250;

const DRAIN_MS = 300_000;
/** A sale of a million SKUs is made, and on sale, within it. */
const SALE_MS_MAX = 300_000;
let sales = 0;

export const skuName = (i: number): string => `sku-${String(i).padStart(7, '0')}`;

export async function startWorld(env: Readonly<Record<string, string>> = {}): Promise<World> {
  const folder = dataFolder();
  const redis = await startRedis({ dir: join(folder.path, 'bench-redis') });
  const postgres = await startPostgres({
    dir: join(folder.path, 'postgres'),
    // The stack's own and a baseline's largest pool.
    settings: { max_connections: '200' },
  });
  const revoke = lastWill([redis.pid, postgres.pid]);
  const admin = connectRedis(redis.url);
  const db = createPool({
    url: postgres.url,
    max: 2,
    application_name: 'bench',
    statement_timeout_ms: SALE_MS_MAX,
    on_error: () => {},
  });
  const closeStores = async () => {
    admin.disconnect();
    await db.end();
    await Promise.all([redis.stop(), postgres.stop()]);
    removePostgres(join(folder.path, 'postgres'));
    revoke();
    folder.remove();
  };
  const stack = await startStack(folder.path, {
    ...{ REDIS_URL: redis.url, DATABASE_URL: postgres.url },
    ...{ RATE_LIMIT_BUYER: 'off', RATE_LIMIT_IP: 'off', LOG_LEVEL: 'warn' },
    // As `npm start` has it, and unlike a test's stack.
    RECONCILER_NICE: String(LOCAL_RECONCILER_NICE),
    ...env,
  }).catch(async (error: unknown) => {
    // Stores that nobody ends would keep this process for ever.
    await closeStores();
    throw error;
  });
  const { jwt_secret } = JSON.parse(readFileSync(join(folder.path, 'state.json'), 'utf8'));
  const pids = {
    engine: stack.pidOf('engine'),
    redis: redis.pid,
    reconciler: stack.pidOf('reconciler'),
    postgres: postgres.pid,
    sandbox: stack.pidOf('sandbox'),
  };
  const made: string[] = [];
  const holdBack = () => {
    process.kill(pids.reconciler, 'SIGSTOP');
    return () => process.kill(pids.reconciler, 'SIGCONT');
  };
  return {
    stack,
    spot: {
      ...{ url: `${stack.url}/v1/checkout`, pids, counts: () => readCounts(stack.url) },
      settle: () => untilIngested(db, admin, made),
    },
    async sale({ skus, qty, limit = 0, hold_seconds = 3_600 }) {
      const id = `bench-${sales++}`;
      made.push(id);
      const items = Array.from({ length: skus }, (_, i) => ({
        ...{ sku: skuName(i), name: `Bench ${i}`, unit_price: UNIT_PRICE, qty },
      }));
      // Straight into the ledger: the API takes no body of more than 16 KiB.
      const created = await createSale(db, {
        ...{ tenant: 'default', id, currency: 'USD', body: { id } },
        ...{ hold_ms: hold_seconds * 1_000, limit_per_buyer: limit, items },
      });
      if (created.kind !== 'created') throw new Error(`the sale ${id} is ${created.kind}`);
      await untilOnSale(stack, id);
      return id;
    },
    env: { REDIS_URL: redis.url, DATABASE_URL: postgres.url, JWT_SECRET: jwt_secret },
    async setRedis(setting, value) {
      await admin.config('SET', setting, value);
    },
    holdBack,
    alone(work) {
      const letGo = holdBack();
      return work().finally(letGo);
    },
    async audit(of) {
      const wrong = await Promise.all(of.map((id) => auditOf(stack, id)));
      return wrong.flat();
    },
    async close() {
      await stack.stop();
      await closeStores();
    },
  };
}

async function untilOnSale(stack: RunningStack, id: string): Promise<void> {
  for (const until = Date.now() + SALE_MS_MAX; ; await sleep(20)) {
    const { status, body } = await stack.api.call('GET', `/v1/sales/${id}`, { token: stack.admin });
    if (status === 200 && body.state === 'open') return;
    if (Date.now() > until) throw new Error(`${id} did not open: ${status} ${JSON.stringify(body)}`);
  }
}

const POSITIONS = {
  name: 'bench_positions',
  text: `SELECT s.id, c.seq FROM cursors c JOIN sales s USING (sale_no) WHERE s.tenant = 'default' AND s.id = ANY ($1)`,
};

/** Until the ledger has every entry that these sales had when asked. */
async function untilIngested(db: Pool, redis: Redis, of: readonly string[]): Promise<void> {
  const wanted = new Map<string, number>();
  for (const sale of of) {
    const { record } = saleKeys({ tenant: 'default', sale, generation: 1 });
    wanted.set(sale, Number(await redis.hget(record, 'seq')));
  }
  for (const until = Date.now() + DRAIN_MS; ; await sleep(20)) {
    const reached = await rows<{ id: string; seq: number }>(db, POSITIONS, [[...of]]);
    if (reached.every(({ id, seq }) => seq >= (wanted.get(id) ?? 0))) return;
    if (Date.now() > until) throw new Error(`the ledger has not caught up: ${JSON.stringify(reached)}`);
  }
}

async function auditOf(stack: RunningStack, id: string): Promise<string[]> {
  const until = Date.now() + DRAIN_MS;
  for (; ; await sleep(200)) {
    const { status, body } = await stack.api.call('GET', `/v1/admin/sales/${id}/audit`, {
      token: stack.admin,
    });
    if (status === 200 && body.balanced === true && (body.live as { kind?: string })?.kind === 'agrees') {
      return [];
    }
    if (Date.now() > until) return [`${id}: ${status} ${JSON.stringify(body).slice(0, 300)}`];
  }
}

/** Tokens of distinct buyers, one a line. */
export function writeTokens(stack: RunningStack, dir: string, buyers: number): string {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `tokens-${buyers}`);
  const lines = Array.from({ length: buyers }, (_, i) => stack.api.token(`bench-buyer-${i}`, 'buyer'));
  writeFileSync(file, lines.join('\n'));
  return file;
}
