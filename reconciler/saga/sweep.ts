/**
 * Finds what stands still, whatever the queues think: attempts whose time to be looked at has come, and orders
 * that nobody has begun to pay. A reversal that an expiry or a cancellation wants begins here, too.
 */
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { claimAttempts } from '../../ledger/payments/claim-attempts.ts';
import { claimRefunds } from '../../ledger/payments/settle-refund.ts';
import { unbegunOrders } from '../../ledger/payments/unbegun-orders.ts';
import { enqueueAttempts, enqueueAuthorize, enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import { nextStep, type SagaStep } from './steps.ts';

const BATCH = 500;
const LEASE_MS = 60_000;
const BACKLOG_MS = 120_000;

/** Returns how many attempts it found. */
export function sweepAttempts(pool: Pool): Promise<number> {
  return withTransaction(pool, async (tx) => {
    const attempts = await claimAttempts(tx, { limit: BATCH, lease_ms: LEASE_MS });
    await enqueueAttempts(tx, 'saga-look', idsOf(attempts, 'look'));
    await enqueueAttempts(tx, 'saga-capture', idsOf(attempts, 'capture'));
    await enqueueAttempts(tx, 'saga-reverse', idsOf(attempts, 'reverse'));
    return attempts.length;
  });
}

/** Returns how many refunds it found. */
export function sweepRefunds(pool: Pool): Promise<number> {
  return withTransaction(pool, async (tx) => {
    const refunds = await claimRefunds(tx, { limit: BATCH, lease_ms: LEASE_MS });
    await enqueueRefunds(tx, refunds);
    return refunds.length;
  });
}

/**
 * `backlog`: jobs that wait or run in the authorize queue. While there are any they may well be about these orders, so
 * only those that have waited for very long are begun again.
 */
export async function sweepOrders(
  pool: Pool,
  still_ms: number,
  backlog: () => Promise<number>,
): Promise<number> {
  const waited_ms = (await backlog()) > 0 ? Math.max(still_ms, BACKLOG_MS) : still_ms;
  const orders = await unbegunOrders(pool, { limit: BATCH, still_ms: waited_ms });
  if (orders.length > 0) await withTransaction(pool, (tx) => enqueueAuthorize(tx, orders));
  return orders.length;
}

function idsOf(attempts: readonly AttemptRow[], step: SagaStep): string[] {
  return attempts.filter((attempt) => nextStep(attempt) === step).map((attempt) => attempt.id);
}
