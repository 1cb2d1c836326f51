/**
 * The usual way to pay orders from a queue: one pg-boss job an order, and one order a transaction. The same provider,
 * the same ledger verbs with one order each, the same durability. Tuned as far as it goes: jobs are fetched and
 * completed many at once, all of a fetch are worked on at the same time, and no fetch waits for a polling interval.
 * How many loops, jobs a fetch and connections is best is searched by bench/scenarios/saga.ts.
 *
 * WORKER_SETTINGS: WorkerSettings as JSON. Told `go` it begins to fetch jobs.
 */
import PgBoss from 'pg-boss';
import { recordAttempts } from '../../ledger/payments/record-attempts.ts';
import { type AttemptNews, settleAttempts } from '../../ledger/payments/settle-attempts.ts';
import { bossDb } from '../../payments/jobs/install.ts';
import { idempotencyKey, type Outcome } from '../../payments/port.ts';
import { createProviders } from '../../payments/providers.ts';
import { createPool, withTransaction } from '../../platform/postgres.ts';
import {
  BASELINE_QUEUE,
  type BaselineJob,
  counted,
  type WorkerSettings,
  workerSettings,
} from '../saga/worker-settings.ts';

const LOOK_AGAIN_MS = 30_000;

async function main(settings: WorkerSettings): Promise<void> {
  const { loops, batch, connections } = settings.tuning ?? { loops: 2, batch: 50, connections: 16 };
  const url = settings.database_url;
  const pool = createPool({ url, max: connections, application_name: 'bench-baseline', on_error: () => {} });
  const psp = counted(createProviders(settings.providers), settings.orders).chosen;
  const boss = new PgBoss({ db: bossDb(pool), schedule: false });
  boss.on('error', (error) => console.error(error));
  await boss.start();

  async function pay(order_id: string): Promise<void> {
    const options = { psp: psp.name, look_again_ms: LOOK_AGAIN_MS };
    const [attempt] = await withTransaction(pool, (tx) => recordAttempts(tx, [order_id], options));
    if (!attempt) return;
    const { id, amount, currency, token, expires_at } = attempt;
    const idempotency_key = idempotencyKey(id, 'authorize');
    const payment_method = { type: 'card', token } as const;
    const held = await psp.authorize({
      ...{ reference: id, psp_ref: null, order_id, idempotency_key, amount, currency },
      ...{ payment_method, expires_at, return_url: 'http://localhost/' },
    });
    const psp_ref = await settle(id, held);
    const taken = await psp.capture({
      ...{ reference: id, psp_ref, idempotency_key: idempotencyKey(id, 'capture'), amount, currency },
    });
    await settle(id, taken);
  }

  async function settle(id: string, outcome: Outcome): Promise<string> {
    if (outcome.kind !== 'approved') throw new Error(`${id}: ${outcome.kind}`);
    const { status, psp_ref } = outcome.payment;
    const news: AttemptNews = { id, state: status, psp_ref, look_again_ms: LOOK_AGAIN_MS };
    await withTransaction(pool, (tx) => settleAttempts(tx, [news]));
    return psp_ref;
  }

  async function work(): Promise<void> {
    while (true) {
      const jobs = await boss.fetch<BaselineJob>(BASELINE_QUEUE, { batchSize: batch });
      const done = await Promise.allSettled(jobs.map((job) => pay(job.data.order_id)));
      const ok = jobs.filter((_, i) => done[i].status === 'fulfilled').map((job) => job.id);
      for (const result of done) if (result.status === 'rejected') console.error(result.reason);
      if (ok.length > 0) await boss.complete(BASELINE_QUEUE, ok);
      if (jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  process.on('message', () => {
    for (let i = 0; i < loops; i++) void work();
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  process.send?.('ready');
}

await main(workerSettings());
