/** One run: a fresh ledger full of orders with their jobs, a fresh sandbox, one worker; timed until all is captured. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PgBoss from 'pg-boss';
import { enqueueAuthorize } from '../../payments/jobs/enqueue.ts';
import { bossDb } from '../../payments/jobs/install.ts';
import { journalPath } from '../../payments/sandbox/journal.ts';
import { testimony } from '../../payments/sandbox/witness.ts';
import { freePort } from '../../platform/local/ports.ts';
import { createPool, type Pool, withTransaction } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, setHeartbeat } from '../../test/support/ledger.ts';
import type { Stores } from '../ingest/stores.ts';
import { forkBuilt } from '../lab/built.ts';
import { cpuSeconds } from '../lab/cpu.ts';
import { BASELINE_QUEUE, type BaselineJob, type Tuning, type WorkerSettings } from './worker-settings.ts';

export type Contestant = 'saga' | 'baseline';

export type RunResult = {
  orders_per_s: number;
  seconds: number;
  /** CPU of each process for one order, us. */
  cpu_us: { worker: number; postgres: number; sandbox: number };
  /** What was not right; must be empty. */
  wrong: string[];
};

export type RunOptions = {
  stores: Stores;
  contestant: Contestant;
  orders: number;
  skus: number;
  /** Of the baseline. */
  tuning?: Tuning;
};

const SECRET = 'bench-secret';
const CHUNK = 500;
const PATIENCE_MS = 300_000;

export async function runOnce(options: RunOptions): Promise<RunResult> {
  const { stores, contestant, orders } = options;
  const database_url = await stores.freshDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-psp-'));
  const db = createPool({ url: database_url, max: 4, application_name: 'bench', on_error: () => {} });
  const children: ChildProcess[] = [];
  try {
    const port = await freePort();
    const sandbox = await started(children, 'payments/sandbox/main.js', {
      ...{ HOST: '127.0.0.1', SANDBOX_PORT: String(port), SANDBOX_DIR: dir, PSP_SANDBOX_SECRET: SECRET },
      LOG_LEVEL: 'warn',
    });
    const settings: WorkerSettings = {
      database_url,
      orders,
      providers: { psp: 'sandbox', psp_sandbox_url: `http://127.0.0.1:${port}`, psp_sandbox_secret: SECRET },
      ...(options.tuning ? { tuning: options.tuning } : {}),
    };
    const program = contestant === 'saga' ? 'bench/saga/worker.js' : 'bench/baselines/one-job-per-order.js';
    const sale_no = await fill(db, options);
    await stores.checkpoint();
    const worker = await started(children, program, { WORKER_SETTINGS: JSON.stringify(settings) });

    const pids = { worker: worker.pid ?? 0, postgres: stores.postgres.pid, sandbox: sandbox.pid ?? 0 };
    const before = Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)] as const);
    const captured = once(worker, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
    const begun = performance.now();
    worker.send('go');
    await captured;
    await untilCaptured(db, orders);
    const seconds = (performance.now() - begun) / 1_000;
    const cpu_us = Object.fromEntries(
      before.map(([name, used]) => [
        name,
        ((cpuSeconds(pids[name as keyof typeof pids]) - used) * 1e6) / orders,
      ]),
    ) as RunResult['cpu_us'];
    const wrong = await whatIsWrong(db, sale_no, orders, dir);
    return { orders_per_s: orders / seconds, seconds, cpu_us, wrong };
  } finally {
    await Promise.all(children.map(ended));
    await db.end();
    await stores.drop(database_url);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Orders of one item as ingest leaves them, with their jobs in the queue. */
async function fill(db: Pool, { orders, skus, contestant }: RunOptions): Promise<number> {
  await setHeartbeat(db);
  // Nobody beats here: deadlines are not what is measured.
  await db.query(`UPDATE heartbeat SET period_ms = 3600000`);
  const items = Array.from({ length: skus }, (_, i) => ({ sku: `sku-${i + 1}`, qty: orders }));
  const sale = await ledgerSale(db, { items, limit: 0, hold_ms: 3_600_000 });
  const boss = new PgBoss({ db: bossDb(db), supervise: false, schedule: false });
  if (contestant === 'baseline') {
    await boss.start();
    await boss.createQueue(BASELINE_QUEUE, { name: BASELINE_QUEUE, retryLimit: 0, expireInSeconds: 600 });
  }
  for (let made = 0; made < orders; made += CHUNK) {
    const count = Math.min(CHUNK, orders - made);
    const ids = await ledgerOrders(
      db,
      sale,
      Array.from({ length: count }, (_, i) => ({
        ...{ limit_units: 0, left_ms: 3_600_000 },
        lines: [{ sku: items[(made + i) % skus].sku, qty: 1 }],
      })),
    );
    if (contestant === 'saga') await withTransaction(db, (tx) => enqueueAuthorize(tx, ids));
    else
      await boss.insert(ids.map((order_id) => ({ name: BASELINE_QUEUE, data: { order_id } as BaselineJob })));
  }
  if (contestant === 'baseline') await boss.stop({ graceful: false, close: false });
  return sale.sale_no;
}

async function started(
  children: ChildProcess[],
  program: string,
  env: Record<string, string>,
): Promise<ChildProcess> {
  const child = forkBuilt(program, { env: { ...process.env, ...env } });
  children.push(child);
  const [message] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['exit'])]);
  if (message !== 'ready') throw new Error(`${program} did not start`);
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

async function untilCaptured(db: Pool, orders: number): Promise<void> {
  const until = performance.now() + 30_000;
  while (performance.now() < until) {
    const { rows } = await db.query<{ left: number }>(
      `SELECT ${orders} - count(*) AS left FROM attempts WHERE state = 'captured'`,
    );
    if (rows[0].left <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The books of the ledger and, apart from them, what the sandbox's own record says. */
async function whatIsWrong(db: Pool, sale_no: number, orders: number, dir: string): Promise<string[]> {
  const wrong: string[] = [];
  const expect = (what: string, found: unknown, wanted: number) => {
    if (Number(found) !== wanted) wrong.push(`${what}: ${found} and not ${wanted}`);
  };
  const { rows } = await db.query({
    text: `
      SELECT (SELECT count(*) FROM orders WHERE state = 'confirmed') AS confirmed,
        (SELECT count(*) FROM attempts WHERE state = 'captured' AND NOT reversal_wanted) AS captured,
        (SELECT count(*) FROM attempts) AS attempts,
        (SELECT sum(sold) FROM skus WHERE sale_no = $1) AS sold,
        (SELECT sum(reserved) FROM skus WHERE sale_no = $1) AS reserved,
        (SELECT coalesce(sum(from_held), 0) FROM movements WHERE sale_no = $1) AS from_held,
        (SELECT coalesce(sum(to_available), 0) FROM movements WHERE sale_no = $1) AS to_available,
        (SELECT count(*) FROM order_events WHERE cause = 'payment_captured') AS told`,
    values: [sale_no],
  });
  for (const what of ['confirmed', 'captured', 'attempts', 'sold', 'from_held', 'told'])
    expect(what, rows[0][what], orders);
  expect('reserved', rows[0].reserved, 0);
  expect('to_available', rows[0].to_available, 0);
  const witness = await testimony(journalPath(dir));
  expect('payments at the provider', witness.payments, orders);
  expect('orders at the provider', witness.orders.size, orders);
  expect('charged twice', witness.charged_twice.length, 0);
  expect('left open', witness.open.length, 0);
  expect('taken', witness.captured, orders * 1_000);
  expect('given back', witness.refunded, 0);
  return wrong;
}
