/**
 * The saga as one part of the reconciler: queues, workers, inbox and sweep. Any number of processes may run it.
 *
 *     const saga = await startSaga({ pool, database_url, providers, registry, log });
 *     ... saga.stop()
 */
import PgBoss from 'pg-boss';
import type { Registry } from 'prom-client';
import {
  attemptsStandingStill,
  oldestWebhookSeconds,
  refundsStandingStill,
} from '../../ledger/payments/standing-still.ts';
import { bossDb, installJobs } from '../../payments/jobs/install.ts';
import { DEAD_LETTER_QUEUE, JOB_EXPIRES_S, QUEUES, type QueueName } from '../../payments/jobs/queues.ts';
import type { Providers } from '../../payments/providers.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { stepErrors } from '../step-errors.ts';
import { createAdvance } from './advance.ts';
import { createCalls, NOT_CONFIGURED } from './calls.ts';
import { settleDeadLetters } from './dead-letters.ts';
import { createHandlers } from './handlers.ts';
import { settleInbox } from './inbox.ts';
import { listen } from './listener.ts';
import { createSagaMetrics, STUCK_STATES } from './metrics.ts';
import { startQueueWorker } from './queue-worker.ts';
import { createReferenceStore } from './references.ts';
import { createRefunder } from './refunds.ts';
import { createSettler } from './settler.ts';
import { captureWithinMs, type Patience } from './steps.ts';
import { sweepAttempts, sweepOrders, sweepRefunds } from './sweep.ts';
import { takeOver } from './take-over.ts';
import { createWaker, type Waker } from './waker.ts';

export type SagaOptions = {
  pool: Pool;
  /** For the connection that listens. */
  database_url: string;
  providers: Providers;
  registry: Registry;
  log: Logger;
  /** Calls to one provider at once. */
  concurrency?: number;
  /** Awaited before jobs are fetched; resolves soon, come what may. */
  give_way?: () => Promise<void>;
  timings?: Partial<SagaTimings>;
  patience?: Partial<Patience>;
  /** Where buyers reach the shop: a provider's page leads back there. */
  public_url?: string;
};

export type SagaTimings = {
  /** Queues and the inbox are asked at least this often, ms. */
  poll_ms: number;
  sweep_ms: number;
  /** Orders that nobody has begun to pay for this long are begun by the sweep, ms. */
  unbegun_ms: number;
  /** How often dead letters are counted, ms. */
  count_ms: number;
  /** pg-boss expires and archives jobs this often, s. */
  maintenance_s: number;
};

export type Saga = {
  /** Ends what runs, in about two seconds at most; what is left is given back to the queues. */
  stop(): Promise<void>;
};

const CONCURRENCY = 64;
const TIMINGS: SagaTimings = {
  poll_ms: 1_000,
  sweep_ms: 1_000,
  unbegun_ms: 10_000,
  count_ms: 10_000,
  maintenance_s: 15,
};
/** Half of a job's time: a call that begins by then has ended, and is written, before somebody else gets the job. */
const CALL_WINDOW_MS = (JOB_EXPIRES_S * 1_000) / 2;
const STOP_PATIENCE_MS = 1_200;
/** Calls under one key begin within CALL_WINDOW_MS of the row that says so, and end by the adapters' own timers. */
const PATIENCE: Patience = { same_key_ms: 30_000, quiet_ms: CALL_WINDOW_MS + 60_000 };
/** Beginnings of reasons that somebody has to look into. */
const ANOMALIES = ['wrong_', 'payment_lost', NOT_CONFIGURED.reason];
/** A payment that has not come to its end after so long is stuck. */
const STUCK_AFTER_MS = 120_000;

/** Jobs at once: of chunks enough to keep the provider busy, and no more than end in their time. */
const JOBS_AT_ONCE: Record<Exclude<QueueName, 'saga-dead'>, number> = {
  'saga-authorize': 6,
  'saga-capture': 6,
  'saga-reverse': 2,
  'saga-look': 2,
  'saga-refund': 8,
  'saga-retry': 32,
};

export async function startSaga(options: SagaOptions): Promise<Saga> {
  const { pool, providers, log } = options;
  const timings = { ...TIMINGS, ...options.timings };
  await installJobs(pool);
  const boss = new PgBoss({
    db: bossDb(pool),
    schedule: false,
    maintenanceIntervalSeconds: timings.maintenance_s,
    archiveCompletedAfterSeconds: 300,
    deleteAfterHours: 12,
  });
  boss.on('error', (error) => log.warn({ err: error }, 'the job queues have trouble'));
  await boss.start();

  const wakes = new Map<string, () => void>();
  const listening = listen({
    database_url: options.database_url,
    hear: (what) => {
      if (what === undefined) for (const wake of wakes.values()) wake();
      else wakes.get(what)?.();
    },
    on_alone: async () => {
      const jobs = await takeOver(pool, boss);
      if (jobs > 0) log.info({ jobs }, 'jobs of workers that are gone are done again');
    },
  });
  const listener = await listening.catch(async (error: unknown) => {
    await boss.stop({ graceful: false, close: false });
    throw error;
  });

  // Nothing below fails: who could not start may try again.
  const metrics = createSagaMetrics(options.registry);
  const patience = { ...PATIENCE, ...options.patience };
  const calls = createCalls(providers, metrics, {
    concurrency: options.concurrency ?? CONCURRENCY,
    return_url: (order_id) => `${options.public_url ?? 'http://localhost'}/?order=${order_id}`,
  });
  const settler = createSettler({
    pool,
    capture_within_ms: (psp) => captureWithinMs(providers, psp),
    on_settled({ voided, refunded, unpaid }) {
      if (voided > 0) metrics.reversals.inc({ outcome: 'voided' }, voided);
      if (refunded > 0) metrics.reversals.inc({ outcome: 'refunded' }, refunded);
      if (unpaid.length === 0) return;
      metrics.anomalies.inc({ what: 'payment_gone' }, unpaid.length);
      log.error(
        { orders: unpaid },
        'money of confirmed orders has gone: the provider gave it back by itself',
      );
    },
  });
  const refund = createRefunder({
    ...{ pool, calls, patience },
    on_over: (outcome) => metrics.refunds.inc({ outcome }),
    on_foreign({ refund: { id, order_id } }) {
      metrics.anomalies.inc({ what: 'foreign_refund' });
      log.error(
        { refund: id, order: order_id },
        'the provider has given back money that nobody here asked for',
      );
    },
  });
  const handlers = createHandlers({
    pool,
    providers,
    settler,
    ...createAdvance({ calls, storeReference: createReferenceStore(pool), patience }),
    refund,
    on_unknown: (attempt, reason) => {
      const what = { attempt: attempt.id, order: attempt.order_id, state: attempt.state, reason };
      const anomaly = ANOMALIES.find((prefix) => reason.startsWith(prefix));
      if (!anomaly) return log.debug(what, 'outcome unknown');
      metrics.anomalies.inc({ what: reason });
      if (reason !== NOT_CONFIGURED.reason)
        return log.error(what, 'the provider holds something else than was asked for');
      const psp = attempt.psp;
      log.error({ ...what, psp }, 'the provider of this payment is not configured: the payment stands still');
    },
  });

  const names = QUEUES.filter((queue) => queue !== DEAD_LETTER_QUEUE);
  const workers = names.map((queue) => {
    const worker = startQueueWorker({
      boss,
      queue,
      handler: handlers[queue],
      concurrency: JOBS_AT_ONCE[queue],
      give_way: options.give_way,
      poll_ms: timings.poll_ms,
      call_window_ms: CALL_WINDOW_MS,
      log,
    });
    wakes.set(queue, worker.wake);
    return worker;
  });
  const inbox = repeat('inbox', timings.poll_ms, log, () => settleInbox(pool, providers, settler));
  wakes.set('inbox', inbox.wake);
  const sweep = repeat('sweep', timings.sweep_ms, log, async () => {
    const found = [await sweepAttempts(pool), await sweepRefunds(pool)];
    return Math.max(...found) > 0;
  });
  const orders = repeat('orders', timings.unbegun_ms / 2, log, async () => {
    const backlog = () => boss.getQueueSize('saga-authorize', { before: 'completed' });
    const found = await sweepOrders(pool, timings.unbegun_ms, backlog);
    if (found > 0) log.warn({ orders: found }, 'orders that nobody had begun to pay');
    return false;
  });
  const count = repeat('count', timings.count_ms, log, async () => {
    metrics.deadLetters.set(await settleDeadLetters(pool, boss));
    metrics.webhookAge.set(await oldestWebhookSeconds(pool));
    const still = await attemptsStandingStill(pool, STUCK_AFTER_MS);
    still.set('refund', await refundsStandingStill(pool, STUCK_AFTER_MS));
    for (const state of STUCK_STATES) metrics.stuckAttempts.set({ state }, still.get(state) ?? 0);
    return false;
  });

  return {
    async stop() {
      await Promise.all([
        listener.stop(),
        inbox.stop(),
        sweep.stop(),
        orders.stop(),
        count.stop(),
        ...workers.map((worker) => worker.stop(STOP_PATIENCE_MS)),
      ]);
      await boss.stop({ graceful: false, close: false });
    },
  };
}

/** Runs `work` again and again: at once while it returns true, else after `every_ms` or a wake. */
function repeat(
  what: string,
  every_ms: number,
  log: Logger,
  work: () => Promise<boolean>,
): Waker & { stop(): Promise<void> } {
  const waker = createWaker();
  const onError = stepErrors(log, `saga ${what}`);
  let stopping = false;
  const step = () => work().then((more) => (more ? 0 : every_ms), onError);
  const loop = (async () => {
    while (!stopping) {
      const wait_ms = await step();
      if (wait_ms > 0 && !stopping) await waker.wait(wait_ms);
    }
  })();
  return {
    ...waker,
    async stop() {
      stopping = true;
      waker.wake();
      await loop;
    },
  };
}
