/**
 * The whole stack as `npm start` makes it, ended and started again on its data, while a sale has very many live holds: Redis reads its
 * AOF, Postgres recovers, the reconciler compares both memories and opens the sale, the engine sells.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataFolder, type RunningStack, startStack } from '../../../test/e2e/support/stack.ts';
import { type Figure, medianFigure, type Stand } from '../stand.ts';
import { putHolds } from './holds.ts';
import { openStores } from './stores.ts';

const SALE = 'bench-restart';
const SKU = 'unit';
const SPARE = 100_000;
const HOLD_SECONDS = 3_600;
const SETTINGS = { RATE_LIMIT_BUYER: 'off', RATE_LIMIT_IP: 'off', LOG_LEVEL: 'info' };
const PATIENCE_MS = 120_000;

const ENDS = [
  { name: 'SIGTERM', end: (stack: RunningStack) => stack.stop() },
  { name: 'kill -9 of everything', end: (stack: RunningStack) => stack.killAll() },
] as const;

/** Seconds since the command that starts everything. */
type Start = { redis_load: number; ready: number; first_sale: number };

export const restart: Stand = {
  name: 'restart',
  what: 'A stack with very many live holds is ended and started again: from the command until the first checkout that is accepted.',
  sizes: { holds: { what: 'live holds', standard: 1_000_000, quick: 5_000 } },
  async measure({ sizes: { holds = 0 }, pairs, say }) {
    const folder = dataFolder();
    const figures: Figure[] = [];
    const wrong: string[] = [];
    let stack: RunningStack | undefined;
    try {
      stack = await startStack(folder.path, SETTINGS);
      await openSale(stack, holds + SPARE);
      const stores = await openStores(urlsOf(folder.path));
      await putHolds(stores, { sale: SALE, sku: SKU, count: holds, say }).finally(stores.close);
      let sold = 0;
      for (const { name, end } of ENDS) {
        const starts: Start[] = [];
        for (let round = 1; round <= pairs; round++) {
          await end(stack);
          const begun = performance.now();
          stack = await startStack(folder.path, SETTINGS);
          const ready = since(begun);
          await buy(stack, randomUUID());
          sold += 1;
          const start = { redis_load: redisLoadSeconds(folder.path), ready, first_sale: since(begun) };
          starts.push(start);
          say(
            `  after ${name}: AOF read in ${start.redis_load.toFixed(2)} s, ready after ${ready.toFixed(2)} s, first sale after ${start.first_sale.toFixed(2)} s`,
          );
        }
        figures.push(...figuresOf(name, starts));
      }
      say('  checking the books');
      wrong.push(...(await whatIsWrong(stack, holds, sold)));
    } finally {
      await stack?.stop();
      folder.remove();
    }
    return { figures, wrong };
  },
};

const since = (begun: number) => (performance.now() - begun) / 1_000;

async function openSale(stack: RunningStack, qty: number): Promise<void> {
  const body = {
    ...{ id: SALE, currency: 'USD', hold_seconds: HOLD_SECONDS, limit_per_buyer: 5 },
    items: [{ sku: SKU, name: 'Unit', unit_price: 1_250, qty }],
  };
  const { status, body: answer } = await stack.api.call('POST', '/v1/admin/sales', {
    token: stack.admin,
    body,
  });
  if (status !== 201) throw new Error(`the sale was answered ${status} ${JSON.stringify(answer)}`);
}

/** As the owner of the ledger, and as an engine in Redis. */
function urlsOf(data_dir: string): { REDIS_URL: string; DATABASE_URL: string } {
  const { ports, redis_passwords } = JSON.parse(readFileSync(join(data_dir, 'state.json'), 'utf8'));
  const password = readFileSync(join(data_dir, 'postgres/password'), 'utf8');
  return {
    REDIS_URL: `redis://engine:${redis_passwords.engine}@127.0.0.1:${ports.redis}`,
    DATABASE_URL: `postgres://stampede:${password}@127.0.0.1:${ports.postgres}/stampede`,
  };
}

/** Asks until it is sold: the sale may still be closed when the engine answers already. */
async function buy(stack: RunningStack, key: string): Promise<void> {
  const token = stack.api.token(`buyer-${key}`, 'buyer');
  const body = {
    ...{ sale_id: SALE, items: [{ sku: SKU, qty: 1 }], payment_method: { type: 'card', token: 'pm_ok' } },
    shipping_address: {
      ...{ name: 'Bench Buyer', line1: '1 Main St', city: 'Springfield' },
      ...{ postal_code: '12345', country: 'US' },
    },
  };
  for (const until = Date.now() + PATIENCE_MS; ; await sleep(10)) {
    const { status, body: answer } = await stack.api.call('POST', '/v1/checkout', { token, key, body });
    if (status === 201) return;
    if (status < 500 || Date.now() > until) throw new Error(`not sold: ${status} ${JSON.stringify(answer)}`);
  }
}

/** What Redis itself says of its last start. */
function redisLoadSeconds(data_dir: string): number {
  const log = readFileSync(join(data_dir, 'logs/redis.log'), 'utf8');
  const told = /DB loaded from append only file: ([\d.]+) seconds/.exec(log);
  if (!told) throw new Error('Redis does not say that it has read its AOF');
  return Number(told[1]);
}

async function whatIsWrong(stack: RunningStack, holds: number, sold: number): Promise<string[]> {
  const wrong: string[] = [];
  for (const until = Date.now() + PATIENCE_MS; ; await sleep(200)) {
    const { body } = await stack.api.call('GET', `/v1/admin/sales/${SALE}/audit`, { token: stack.admin });
    if (body.balanced === true && (body.live as { kind?: string })?.kind === 'agrees') break;
    if (Date.now() < until) continue;
    wrong.push(`the books: ${JSON.stringify(body).slice(0, 300)}`);
    break;
  }
  const { body } = await stack.api.call('GET', `/v1/sales/${SALE}`, { token: stack.admin });
  const left = (body.items as { available: number }[] | undefined)?.[0]?.available;
  if (left !== SPARE - sold)
    wrong.push(`${left} units are on sale and not ${SPARE - sold}, besides ${holds} that are held`);
  return wrong;
}

function figuresOf(end: string, starts: readonly Start[]): Figure[] {
  const figure = (what: string, read: (start: Start) => number): Figure[] =>
    medianFigure(`${what}, after ${end}`, 's', starts.map(read));
  return [
    ...figure('from the command to the first sale', (start) => start.first_sale),
    ...figure('of it Redis reading its AOF', (start) => start.redis_load),
    ...figure('of it until everything says it is ready', (start) => start.ready),
  ];
}
