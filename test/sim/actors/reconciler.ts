/**
 * A simulated reconciler: the product's roles (ingest with verify and rebuild, release, expire, saga) over simulated
 * connections. What startSaga has besides (pg-boss's own loops, the listening connection) is replaced by the simulated
 * ledger's queues; workers, handlers, inbox and sweep are the product's.
 */
import { Registry } from 'prom-client';
import { enqueueAuthorize } from '../../../payments/jobs/enqueue.ts';
import { DEAD_LETTER_QUEUE, QUEUES } from '../../../payments/jobs/queues.ts';
import type { Logger } from '../../../platform/log.ts';
import { changes, type Pool, rows } from '../../../platform/postgres.ts';
import { runExpireRole } from '../../../reconciler/expire/expire-role.ts';
import { createIngestRole } from '../../../reconciler/ingest/ingest-role.ts';
import { type LoopOptions, runLoop } from '../../../reconciler/loop.ts';
import { createReconcilerMetrics } from '../../../reconciler/metrics.ts';
import { runReleaseRole } from '../../../reconciler/release/release-role.ts';
import { createAdvance } from '../../../reconciler/saga/advance.ts';
import { createCalls } from '../../../reconciler/saga/calls.ts';
import { createHandlers } from '../../../reconciler/saga/handlers.ts';
import { settleInbox } from '../../../reconciler/saga/inbox.ts';
import { createSagaMetrics } from '../../../reconciler/saga/metrics.ts';
import { type QueueWorkerOptions, startQueueWorker } from '../../../reconciler/saga/queue-worker.ts';
import { createReferenceStore } from '../../../reconciler/saga/references.ts';
import { createRefunder } from '../../../reconciler/saga/refunds.ts';
import { createSettler } from '../../../reconciler/saga/settler.ts';
import { captureWithinMs, type Patience } from '../../../reconciler/saga/steps.ts';
import { sweepAttempts, sweepOrders, sweepRefunds } from '../../../reconciler/saga/sweep.ts';
import { stepErrors } from '../../../reconciler/step-errors.ts';
import type { Process } from '../core/scheduler.ts';
import { createSimPool } from '../ledger/client.ts';
import { createSimProviders, LATE_MS_MAX } from '../psp/adapter.ts';
import { createSimRedisClient } from '../redis/client.ts';
import type { World } from '../world.ts';
import { createSimLocks } from './locks.ts';

export type Reconciler = {
  process: Process;
  /** Wakes the workers of a queue, as a NOTIFY does; all of them without a name. */
  wake(queue?: string): void;
  /** The process is gone. */
  cut(): void;
  cutAll(why: string): void;
  cutRedis(why: string): void;
};

export const GRACE_MS = 3_000;
export const HEARTBEAT_MS = 4_000;
const TRIM_AGE_MS = 15_000;
/** A job that takes longer is given to somebody else. */
const JOB_EXPIRES_MS = 20_000;
const CALL_WINDOW_MS = JOB_EXPIRES_MS / 2;
/** As in reconciler/saga/saga.ts: calls under one key have ended when it has rested. */
const PATIENCE: Patience = { same_key_ms: 4_000, quiet_ms: CALL_WINDOW_MS + LATE_MS_MAX + 3_000 };
const UNBEGUN_MS = 4_000;

// Counted by nobody: one set for all worlds.
const metrics = createReconcilerMetrics(new Registry());
const sagaMetrics = createSagaMetrics(new Registry());

export function createReconciler(world: World, name: string): Reconciler {
  const { scheduler, random, ledger } = world;
  const process = scheduler.process(name, random.int(-2_000, 2_000));
  const note = (what: string) => world.note(what);
  const shared = { scheduler, random, process, note };
  const pool = (pipeline: boolean) =>
    createSimPool({
      ...shared,
      ...{ ledger, pipeline, weather: () => world.weather.ledger, up: () => world.up.ledger },
    });
  const link = createSimRedisClient({
    ...shared,
    missing: world.violate,
    ...{ server: world.redis, weather: () => world.weather.redis, up: () => world.up.redis },
  });
  const [main, paying] = [pool(false), pool(true)];
  const locks = createSimLocks(world, process);
  const providers = createSimProviders({
    ...shared,
    ...{ provider: world.provider, weather: () => world.weather.psp, up: () => world.up.psp },
  });
  const log = createSimLog(world, name);
  const { signal } = new AbortController();
  const db = main.pool;
  const deps = {
    ...{ db, redis: link.client, locks, log, metrics, enqueueAuthorize },
    ...{ grace_ms: GRACE_MS, heartbeat_ms: HEARTBEAT_MS, trim_age_ms: TRIM_AGE_MS, onBeat: () => {} },
  };
  void createIngestRole(deps).run(signal);
  void runReleaseRole(deps, signal);
  void runExpireRole(deps, signal);
  const wakes = runSaga(paying.pool);

  function runSaga(sagaDb: Pool): Map<string, () => void> {
    const settler = createSettler({
      pool: sagaDb,
      capture_within_ms: (psp) => captureWithinMs(providers, psp),
      on_settled: ({ unpaid }) => {
        if (unpaid.length > 0) world.violate(`money of confirmed orders has gone: ${unpaid.join(', ')}`);
      },
    });
    const calls = createCalls(providers, sagaMetrics, {
      concurrency: 64,
      return_url: (id) => `http://shop/${id}`,
    });
    const handlers = createHandlers({
      ...{ pool: sagaDb, providers, settler },
      ...createAdvance({ calls, storeReference: createReferenceStore(sagaDb), patience: PATIENCE }),
      refund: createRefunder({
        ...{ pool: sagaDb, calls, patience: PATIENCE, on_over: () => {} },
        on_foreign: ({ refund }) =>
          world.violate(`refund ${refund.id}: money given back that nobody asked for`),
      }),
      on_unknown: (attempt, reason) => {
        note(`${name} ${attempt.id.slice(0, 8)} unknown: ${reason}`);
        if (reason.startsWith('wrong_') || reason === 'payment_lost')
          world.violate(`attempt ${attempt.id}: ${reason}`);
      },
    });
    const boss = {
      fetch: (queue: string, { batchSize }: { batchSize: number }) =>
        rows(sagaDb, { name: 'jobs_fetch', text: '' }, [queue, batchSize]).catch(() => []),
      complete: (_queue: string, id: string) => changes(sagaDb, { name: 'jobs_complete', text: '' }, [[id]]),
      fail: (_queue: string, id: string | string[]) =>
        changes(sagaDb, { name: 'jobs_fail', text: '' }, [Array.isArray(id) ? id : [id]]),
    } as unknown as QueueWorkerOptions['boss'];
    const woken = new Map<string, () => void>();
    for (const queue of QUEUES) {
      if (queue === DEAD_LETTER_QUEUE) continue;
      const worker = startQueueWorker({
        ...{ boss, queue, handler: handlers[queue], concurrency: 4, log },
        // Polls that would find nothing are left out: the world wakes whoever has a job that is due.
        ...{ poll_ms: 600_000, call_window_ms: CALL_WINDOW_MS },
      });
      woken.set(queue, worker.wake);
    }
    const every = (slow_ms: number, role: string, step: LoopOptions['step']) =>
      void runLoop({ step, signal, slow_ms, onError: stepErrors(log, role) });
    every(200, 'inbox', async () => ((await settleInbox(sagaDb, providers, settler)) ? 'more' : 'slow'));
    every(3_000, 'sweep', async () => {
      const found = (await sweepAttempts(sagaDb)) + (await sweepRefunds(sagaDb));
      return found > 0 ? 'more' : 'slow';
    });
    every(4_000, 'orders', async () => {
      const waiting = async () => {
        const statement = { name: 'jobs_waiting', text: '' };
        return (await rows<{ waiting: number }>(sagaDb, statement, ['saga-authorize']))[0].waiting;
      };
      await sweepOrders(sagaDb, UNBEGUN_MS, waiting);
      await changes(sagaDb, { name: 'jobs_expire', text: '' }, [JOB_EXPIRES_MS]);
      return 'slow';
    });
    return woken;
  }

  function cutAll(why: string): void {
    link.cut(why);
    main.cut(why);
    paying.cut(why);
    locks.cut();
  }

  const unlisten = ledger.listen((payload) => {
    // A NOTIFY may be missed: the connection that listens was away.
    if (random.chance(world.weather.ledger.lost_reply)) return;
    scheduler.after(random.delay_ms(0.1, 2), process, () => wakes.get(payload)?.());
  });
  return {
    process,
    wake(queue) {
      for (const [known, wake] of wakes)
        if (queue === undefined || queue === known) scheduler.after(0, process, wake);
    },
    cut() {
      unlisten();
      cutAll('killed');
    },
    cutAll,
    cutRedis: (why) => link.cut(why),
  };
}

/** Into the trace. What the product calls an error that nobody else causes is one here. */
function createSimLog(world: World, name: string): Logger {
  const line =
    (level: string) =>
    (...args: unknown[]): void => {
      const [first, second] = args;
      const text = typeof first === 'string' ? first : String(second ?? '');
      const error = (first as { err?: unknown })?.err;
      const reason =
        (first as { reason?: unknown; why?: unknown })?.reason ?? (first as { why?: unknown })?.why;
      const detail = error ? `: ${String(error)}` : reason ? `: ${String(reason)}` : '';
      if (level === 'error' && text === 'a step failed; trying again') {
        world.violate(`${name} ${text}${detail} ${(error as Error)?.stack?.split('\n')[1]?.trim() ?? ''}`);
      }
      world.note(`${name} ${level} ${text}${detail}`);
    };
  const silent = () => {};
  return {
    ...{ info: line('info'), warn: line('warn'), error: line('error'), fatal: line('fatal') },
    ...{ debug: silent, trace: silent },
  } as unknown as Logger;
}
