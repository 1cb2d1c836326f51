/**
 * The job queues as tables of the simulated ledger: what payments/jobs/enqueue.ts inserts through pg-boss, and what a
 * worker asks of pg-boss. Queue settings are the product's; the backoff is pg-boss's (twice as long each time).
 */
import { DEAD_LETTER_QUEUE, QUEUE_SETTINGS, type QueueName } from '../../../../payments/jobs/queues.ts';
import type { JobRow } from '../rows.ts';
import type { Statement } from '../server.ts';
import type { Scope } from '../store.ts';

function addJob(scope: Scope, name: string, data: object, after_ms: number): void {
  const id = scope.uuid();
  const job: JobRow = {
    ...{ id, name, data, state: 'created', retry_count: 0 },
    ...{ start_after: scope.now_ms + after_ms, started_at: null, created_at: scope.now_ms },
  };
  scope.insert('jobs', id, job);
}

const insert: Statement = (scope, [jobs]: readonly string[]) => {
  const all = JSON.parse(jobs) as { name: string; data: object; startAfter?: string }[];
  for (const { name, data, startAfter } of all) addJob(scope, name, data, Number(startAfter ?? 0) * 1_000);
  return all.length;
};

function fail(scope: Scope, job: JobRow): void {
  const { retryLimit, retryDelay, retryBackoff } = QUEUE_SETTINGS[job.name as QueueName];
  scope.lock('jobs', job.id);
  if (job.retry_count < retryLimit) {
    const wait_s = retryBackoff ? retryDelay * 2 ** job.retry_count : retryDelay;
    const start_after = scope.now_ms + wait_s * 1_000;
    scope.put('jobs', job.id, { ...job, state: 'retry', retry_count: job.retry_count + 1, start_after });
    return;
  }
  scope.put('jobs', job.id, { ...job, state: 'failed' });
  addJob(scope, DEAD_LETTER_QUEUE, job.data, 0);
}

const active = (scope: Scope, ids: readonly string[]) =>
  ids.flatMap((id) => {
    const job = scope.get<JobRow>('jobs', id);
    return job?.state === 'active' ? [job] : [];
  });

export const jobStatements: Record<string, Statement> = {
  jobs_fetch: (scope, [name, limit]: readonly [string, number]) =>
    scope
      .all<JobRow>('jobs')
      .filter(
        (job) =>
          job.name === name &&
          (job.state === 'created' || job.state === 'retry') &&
          job.start_after <= scope.now_ms &&
          !scope.locked('jobs', job.id),
      )
      .sort((a, b) => a.created_at - b.created_at)
      .slice(0, limit)
      .map((job) => {
        scope.lock('jobs', job.id);
        scope.put('jobs', job.id, { ...job, state: 'active', started_at: scope.now_ms });
        return { id: job.id, name, data: job.data };
      }),
  jobs_complete: (scope, [ids]: readonly (readonly string[])[]) => {
    const jobs = active(scope, ids);
    for (const job of jobs) {
      scope.lock('jobs', job.id);
      scope.put('jobs', job.id, { ...job, state: 'completed' });
    }
    return jobs.length;
  },
  jobs_fail: (scope, [ids]: readonly (readonly string[])[]) => {
    const jobs = active(scope, ids);
    for (const job of jobs) fail(scope, job);
    return jobs.length;
  },
  /** pg-boss's maintenance: who took too long has failed, whether or not it still runs. */
  jobs_expire: (scope, [expire_ms]: readonly number[]) => {
    const late = scope
      .all<JobRow>('jobs')
      .filter((job) => job.state === 'active' && (job.started_at ?? 0) + expire_ms <= scope.now_ms);
    for (const job of late) fail(scope, job);
    return late.length;
  },
  jobs_waiting: (scope, [name]: readonly string[]) => [
    { waiting: scope.all<JobRow>('jobs').filter((job) => job.name === name && isOpen(job)).length },
  ],
  insert_jobs: insert,
  saga_notify: (scope, [payload]: readonly string[]) => {
    scope.notify(payload);
    return [{}];
  },
};

const isOpen = (job: JobRow) => job.state !== 'completed' && job.state !== 'failed';
