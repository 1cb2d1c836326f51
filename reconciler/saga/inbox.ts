/**
 * Settles the webhooks that the engine stored. An event of an attempt that the ledger does not know (yet) stays and
 * is looked at again; one that tells nothing new changes nothing.
 */
import { attemptsById } from '../../ledger/payments/find-attempts.ts';
import { claimPspEvents, settlePspEvents } from '../../ledger/payments/psp-events.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import type { Providers } from '../../payments/providers.ts';
import type { Pool } from '../../platform/postgres.ts';
import { judgePayment } from './advance.ts';
import type { Settler } from './settler.ts';
import { holdsMoney, isOver } from './steps.ts';

const BATCH = 200;
const LEASE_MS = 30_000;
const ATTEMPT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Works off what waits. Returns false when nothing does. */
export async function settleInbox(pool: Pool, providers: Providers, settler: Settler): Promise<boolean> {
  const events = await claimPspEvents(pool, { limit: BATCH, lease_ms: LEASE_MS });
  if (events.length === 0) return false;
  const told = events.map((event) => {
    const payment = providers.byName(event.provider)?.readEvent(event.body);
    return { event, payment: payment && ATTEMPT_ID.test(payment.reference) ? payment : undefined };
  });
  const references = told.flatMap(({ payment }) => (payment ? [payment.reference] : []));
  const attempts = new Map((await attemptsById(pool, references)).map((attempt) => [attempt.id, attempt]));

  const settled = told.map(async ({ event, payment }): Promise<number | undefined> => {
    // It tells of no payment, so there is nothing to wait for.
    if (!payment) return event.id;
    const attempt = attempts.get(payment.reference);
    if (!attempt || attempt.psp !== event.provider) return undefined;
    if (isOver(attempt.state)) {
      // Most likely an event that came late. If not, somebody paid for nothing: that takes a look.
      if (holdsMoney(payment.status)) await enqueueAttempts(pool, 'saga-reverse', [attempt.id]);
      return event.id;
    }
    const { finding, again } = judgePayment(attempt, payment);
    await settler.add({ attempt, finding, retry: again });
    // Something happened, and it waits still: what its buyer approved is taken up now, not when the sweep comes by.
    if (payment.status === 'pending') await enqueueAttempts(pool, 'saga-look', [attempt.id]);
    return event.id;
  });
  const results = await Promise.allSettled(settled);
  const ids = results.flatMap((result) =>
    result.status === 'fulfilled' && result.value ? [result.value] : [],
  );
  if (ids.length > 0) await settlePspEvents(pool, ids);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return true;
}
