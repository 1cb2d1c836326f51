/**
 * Fetches the jobs of one queue and runs them, so many at once, each completed or failed by itself. Woken as soon as
 * a job is committed anywhere, and polling besides, for jobs whose time comes later and wakes that were lost.
 */
import type PgBoss from 'pg-boss';
import type { QueueName } from '../../payments/jobs/queues.ts';
import type { Logger } from '../../platform/log.ts';
import type { Handler } from './handlers.ts';
import { createWaker } from './waker.ts';

export type QueueWorker = {
  wake(): void;
  /** Fetches nothing more, and resolves when what runs has ended; jobs that take longer than `patience_ms` are given back. */
  stop(patience_ms: number): Promise<void>;
};

export type QueueWorkerOptions = {
  boss: PgBoss;
  queue: QueueName;
  handler: Handler;
  /** Jobs at once. */
  concurrency: number;
  poll_ms: number;
  /** From the fetch, how long calls to providers may begin. */
  call_window_ms: number;
  /** Awaited before every fetch: what is more urgent goes first. */
  give_way?: () => Promise<void>;
  log: Logger;
};

export function startQueueWorker(options: QueueWorkerOptions): QueueWorker {
  const { boss, queue, handler, log } = options;
  const waker = createWaker();
  const running = new Map<string, Promise<void>>();
  let stopping = false;

  const loop = (async () => {
    while (!stopping) {
      await options.give_way?.();
      const free = options.concurrency - running.size;
      // Both swallow what the database has to say: an empty answer may be an outage, and is asked again.
      const jobs = free > 0 ? await boss.fetch<object>(queue, { batchSize: free }) : [];
      for (const job of jobs) running.set(job.id, run(job));
      if (jobs.length < free || free === 0) await waker.wait(options.poll_ms);
    }
  })();

  async function run(job: PgBoss.Job<object>): Promise<void> {
    try {
      await handler(job.data, performance.now() + options.call_window_ms);
      await boss.complete(queue, job.id);
    } catch (error) {
      log.debug({ queue, job: job.id, err: error }, 'a saga job is to be tried again');
      const message = error instanceof Error ? error.message : String(error);
      await boss.fail(queue, job.id, { message }).catch(() => {});
    } finally {
      running.delete(job.id);
      waker.wake();
    }
  }

  return {
    wake: () => waker.wake(),
    async stop(patience_ms) {
      stopping = true;
      waker.wake();
      const ended = loop.then(() => Promise.all(running.values()));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, patience_ms, 'late');
      });
      const end = await Promise.race([ended, late]);
      clearTimeout(timer);
      if (end !== 'late' || running.size === 0) return;
      await boss.fail(queue, [...running.keys()]).catch(() => {});
    },
  };
}
