/**
 * Puts jobs into the queues, in the transaction that makes them necessary:
 *
 *     enqueueAuthorize(tx, orderIds)             ingest, for new orders of the checkout road
 *     enqueueAttempts(tx, queue, attemptIds)     payment start ('saga-look'), confirmation and shipment
 *                                                ('saga-capture'), and the saga itself
 *     enqueueRefunds(tx, refundIds)              an operator's partial refund
 *
 * Workers in any process wake when that transaction commits (NOTIFY), and poll besides. The queues must have been
 * installed (install.ts); for an unknown queue both throw, and the transaction fails.
 */
import PgBoss from 'pg-boss';
import { type Queryable, together } from '../../platform/postgres.ts';
import { CHUNK_SIZE, type QueueName } from './queues.ts';

/** Channel that workers listen on; the payload is the queue's name. */
export const WAKE_CHANNEL = 'stampede_saga';

const NOTIFY = { name: 'saga_notify', text: `SELECT pg_notify('${WAKE_CHANNEL}', $1)` };

export type AuthorizeJob = { order_ids: string[] };
export type AttemptsJob = { attempt_ids: string[] };
export type RefundJob = { refund_id: string };

export function enqueueAuthorize(tx: Queryable, orderIds: readonly string[]): Promise<void> {
  const jobs = chunks(orderIds).map((order_ids): AuthorizeJob => ({ order_ids }));
  return insert(tx, 'saga-authorize', jobs);
}

/** `saga-retry` gets a job for each, the other queues a job for each chunk. */
export function enqueueAttempts(
  tx: Queryable,
  queue: Exclude<QueueName, 'saga-authorize' | 'saga-refund' | 'saga-dead'>,
  attemptIds: readonly string[],
): Promise<void> {
  const groups = queue === 'saga-retry' ? attemptIds.map((id) => [id]) : chunks(attemptIds);
  return insert(
    tx,
    queue,
    groups.map((attempt_ids): AttemptsJob => ({ attempt_ids })),
  );
}

/** A job each. */
export function enqueueRefunds(tx: Queryable, refundIds: readonly string[]): Promise<void> {
  return insert(
    tx,
    'saga-refund',
    refundIds.map((refund_id): RefundJob => ({ refund_id })),
  );
}

/** Wakes the workers of a queue, or `inbox`, once the transaction commits. */
export async function wakeSaga(db: Queryable, what: QueueName | 'inbox'): Promise<void> {
  await db.query({ ...NOTIFY, values: [what] });
}

async function insert(tx: Queryable, queue: QueueName, jobs: readonly object[]): Promise<void> {
  if (jobs.length === 0) return;
  let inserted = 0;
  const executeSql = async (text: string, values: unknown[]) => {
    // Prepared: parsing and planning it costs as much as five jobs. It has one text, whatever the jobs.
    const result = await tx.query<never>({ name: 'insert_jobs', text, values });
    inserted = result.rowCount ?? 0;
    return { rows: result.rows };
  };
  // Never started: it only writes the statement.
  const boss = new PgBoss({ db: { executeSql }, supervise: false, schedule: false });
  // A first try delayed by a moment keeps a failed attempt from being tried again in the same instant.
  const startAfter = queue === 'saga-retry' ? { startAfter: '1' } : {};
  await together(
    tx,
    () => boss.insert(jobs.map((data) => ({ name: queue, data, ...startAfter }))),
    () => wakeSaga(tx, queue),
  );
  if (inserted !== jobs.length) {
    throw new Error(`queue ${queue} took ${inserted} of ${jobs.length} jobs: is it installed?`);
  }
}

function chunks(ids: readonly string[]): string[][] {
  const result: string[][] = [];
  for (let at = 0; at < ids.length; at += CHUNK_SIZE) result.push(ids.slice(at, at + CHUNK_SIZE));
  return result;
}
