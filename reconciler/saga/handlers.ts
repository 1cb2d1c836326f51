/**
 * What the jobs do. Each reads its attempts' rows as they are now, takes each a step further and writes what was
 * found; a slow payment holds up none of the others.
 */
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { attemptsById } from '../../ledger/payments/find-attempts.ts';
import { recordAttempts } from '../../ledger/payments/record-attempts.ts';
import type { AttemptsJob, AuthorizeJob, RefundJob } from '../../payments/jobs/enqueue.ts';
import type { QueueName } from '../../payments/jobs/queues.ts';
import type { Providers } from '../../payments/providers.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import type { Advance } from './advance.ts';
import { LOOK_AGAIN_MS } from './findings.ts';
import type { Refunder } from './refunds.ts';
import type { Settler } from './settler.ts';
import { isOver } from './steps.ts';

/** `until_ms` (performance.now()): no call to a provider begins later. Rejects if the job is to be tried again. */
export type Handler = (data: unknown, until_ms: number) => Promise<void>;

export type HandlerParts = {
  pool: Pool;
  providers: Providers;
  settler: Settler;
  advance: Advance;
  reverse: Advance;
  refund: Refunder;
  /** Told of every call that came to nothing certain, and why. */
  on_unknown: (attempt: AttemptRow, reason: string) => void;
};

export function createHandlers(parts: HandlerParts): Record<Exclude<QueueName, 'saga-dead'>, Handler> {
  const { pool, providers, settler } = parts;

  /** `own_job`: a failure gets a job of its own; without, it is told to the caller. */
  async function each(
    attempts: readonly (AttemptRow & { made?: boolean })[],
    until_ms: number,
    options: { own_job: boolean; how?: (attempt: AttemptRow) => Advance },
  ): Promise<{ again: string[] }> {
    const again: string[] = [];
    const done = attempts.map(async (attempt) => {
      const advance = options.how?.(attempt) ?? parts.advance;
      const { finding, again: open } = await advance(attempt, until_ms);
      if (finding.kind === 'idle') return;
      if (finding.kind === 'unknown') parts.on_unknown(attempt, finding.reason);
      if (open) again.push(finding.kind === 'unknown' ? finding.reason : 'open');
      await settler.add({ attempt, finding, retry: open && options.own_job });
    });
    // All are seen to their end: a rejection must not leave others unwritten behind the job's back.
    const results = await Promise.allSettled(done);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return { again };
  }

  const chunk: Handler = async (data, until_ms) => {
    const attempts = await attemptsById(pool, (data as AttemptsJob).attempt_ids);
    await each(attempts, until_ms, { own_job: true });
  };

  return {
    'saga-authorize': async (data, until_ms) => {
      const { order_ids } = data as AuthorizeJob;
      // Committed before any provider hears of them: whatever happens then, somebody knows to look.
      const attempts = await withTransaction(pool, (tx) =>
        recordAttempts(tx, order_ids, { psp: providers.chosen.name, look_again_ms: LOOK_AGAIN_MS.begun }),
      );
      await each(attempts, until_ms, { own_job: true });
    },
    'saga-capture': chunk,
    'saga-look': chunk,
    'saga-reverse': async (data, until_ms) => {
      const attempts = await attemptsById(pool, (data as AttemptsJob).attempt_ids);
      // An attempt that is over and here has been heard of as paid: it must hold nothing.
      const how = (attempt: AttemptRow) => (isOver(attempt.state) ? parts.reverse : parts.advance);
      await each(attempts, until_ms, { own_job: true, how });
    },
    'saga-refund': async (data, until_ms) => {
      const again = await parts.refund((data as RefundJob).refund_id, until_ms);
      if (again) throw new Error(again);
    },
    'saga-retry': async (data, until_ms) => {
      const attempts = await attemptsById(pool, (data as AttemptsJob).attempt_ids);
      const how = (attempt: AttemptRow) => (isOver(attempt.state) ? parts.reverse : parts.advance);
      const { again } = await each(attempts, until_ms, { own_job: false, how });
      // pg-boss tries again later and later, and in the end makes it a dead letter.
      if (again.length > 0) throw new Error(again[0]);
    },
  };
}
