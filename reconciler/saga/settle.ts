/**
 * The one settle function: what answers, webhooks and looks found out is written here, many at once, in one
 * transaction with the jobs that follow from it.
 */
import { failOrders } from '../../ledger/orders/fail-orders.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { attemptsById } from '../../ledger/payments/find-attempts.ts';
import {
  type AttemptNews,
  type Settled,
  type SettledAttempt,
  settleAttempts,
} from '../../ledger/payments/settle-attempts.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import { QUEUE_SETTINGS } from '../../payments/jobs/queues.ts';
import { type Pool, type Queryable, withTransaction } from '../../platform/postgres.ts';
import { type Finding, newsOf } from './findings.ts';
import { holdsMoney, isDue, isOver } from './steps.ts';

export type Settlement = {
  /** As it was when the provider was asked. */
  attempt: AttemptRow;
  finding: Finding;
  /** A failure that is to get a job of its own. */
  retry: boolean;
};

export type Settle = {
  /** How many reversals are done now, by how. */
  voided: number;
  refunded: number;
  /** Orders whose goods are the buyer's and whose money has gone. */
  unpaid: string[];
};

/**
 * No attempt may be in it twice. Throws if the ledger is away; then nothing was written, or all of it.
 * `capture_within_ms`: how long an authorization of a provider can be captured.
 */
export function settle(
  pool: Pool,
  settlements: readonly Settlement[],
  capture_within_ms: (psp: string) => number | undefined,
): Promise<Settle> {
  const paths = settlements.map(({ attempt, finding }) =>
    newsOf(attempt, finding).map((news) =>
      news.state === 'authorized' ? { ...news, capture_within_ms: capture_within_ms(attempt.psp) } : news,
    ),
  );
  const before = new Map(settlements.map(({ attempt }) => [attempt.id, attempt]));
  const retries = settlements.filter(needsJob).map(({ attempt }) => attempt.id);
  return withTransaction(pool, async (tx) => {
    const result: Settle = { voided: 0, refunded: 0, unpaid: [] };
    const taken = new Set<string>();
    for (let step = 0; paths.some((path) => path.length > step); step++) {
      const news = paths.filter((path) => path.length > step).map((path) => path[step]);
      const settled = await settleAttempts(tx, news);
      for (const attempt of settled.attempts) taken.add(attempt.id);
      // Of rows that stay as they were nothing follows: else a provider that is down would be asked for ever at once.
      const moved = settled.attempts.filter((attempt) => attempt.state !== before.get(attempt.id)?.state);
      await failUnpaid(tx, news, moved, before, result);
      await enqueueNext(tx, moved, settled, before);
    }
    await enqueueAttempts(tx, 'saga-retry', retries);
    await enqueueAttempts(tx, 'saga-reverse', await unheard(tx, settlements, taken));
    return result;
  });
}

/** Money found on attempts that somebody had closed meanwhile: whatever it is, it must not stay. */
async function unheard(
  tx: Queryable,
  settlements: readonly Settlement[],
  taken: ReadonlySet<string>,
): Promise<string[]> {
  const untaken = settlements.filter(
    ({ attempt, finding }) =>
      !isOver(attempt.state) &&
      finding.kind === 'payment' &&
      holdsMoney(finding.payment.status) &&
      !taken.has(attempt.id),
  );
  if (untaken.length === 0) return [];
  const now = await attemptsById(
    tx,
    untaken.map(({ attempt }) => attempt.id),
  );
  return now.filter((attempt) => isOver(attempt.state)).map((attempt) => attempt.id);
}

/** After as many tries as its job has, the sweep looks after it, slowly. */
function needsJob({ attempt, retry }: Settlement): boolean {
  return retry && attempt.tries < QUEUE_SETTINGS['saga-retry'].retryLimit;
}

/** Money that went although nobody wanted it back: whoever was still to get goods for it does not. */
async function failUnpaid(
  tx: Queryable,
  news: readonly AttemptNews[],
  moved: readonly SettledAttempt[],
  before: ReadonlyMap<string, AttemptRow>,
  result: Settle,
): Promise<void> {
  const last = new Set(news.filter((item) => item.final).map((item) => item.id));
  const failing: string[] = [];
  for (const { id, order_id, order_state, state, reversal_wanted } of moved) {
    if (state !== 'voided' && state !== 'refunded') continue;
    if (reversal_wanted) result[state] += 1;
    else if (isDue(order_state)) result.unpaid.push(order_id);
    else if (last.has(id) || before.get(id)?.state === 'authorized') failing.push(order_id);
  }
  if (failing.length > 0) await failOrders(tx, failing, { cause: 'payment_lost', actor: 'psp' });
}

async function enqueueNext(
  tx: Queryable,
  moved: readonly SettledAttempt[],
  settled: Settled,
  before: ReadonlyMap<string, AttemptRow>,
): Promise<void> {
  const confirmed = new Set(settled.confirmed);
  const holding = moved.filter((attempt) => attempt.state === 'authorized' || attempt.state === 'captured');
  const due = holding.filter(
    (attempt) => attempt.state === 'authorized' && attempt.capture_wanted && confirmed.has(attempt.order_id),
  );
  const unwanted = new Set(holding.filter((attempt) => attempt.reversal_wanted));
  // Its order ended while the provider was asked: this write has just put off the look that the ending had asked for.
  for (const attempt of settled.attempts) {
    const known = before.get(attempt.id)?.reversal_wanted;
    if (attempt.reversal_wanted && !known && !isOver(attempt.state)) unwanted.add(attempt);
  }
  await enqueueAttempts(tx, 'saga-reverse', idsOf([...unwanted]));
  await enqueueAttempts(tx, 'saga-capture', idsOf(due));
}

function idsOf(attempts: readonly SettledAttempt[]): string[] {
  return attempts.map((attempt) => attempt.id);
}
