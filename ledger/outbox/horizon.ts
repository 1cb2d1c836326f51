/**
 * Up to where order_events can be read without ever missing a row.
 *
 * Ids are taken from a sequence while a transaction runs and become visible when it commits: 7 may be there while 5 is
 * still to come. So the highest id that is visible says nothing. What is safe follows from two facts:
 *
 *  - Whoever takes an id has a transaction number by then (trigger order_events_coming). So of ids up to the sequence's
 *    value, read first, all belong to transactions whose numbers are below one that is drawn afterwards.
 *  - Once pg_snapshot_xmin has reached that drawn number, all transactions below it have ended. Their events are
 *    visible or will never exist.
 *
 * So a mark is (the sequence's value, a number drawn after reading it), and the ids up to it are safe when xmin reaches
 * the number. The number is drawn, not read from pg_snapshot_xmax: that is one above the highest transaction that has
 * *ended*, and a running one may well have a higher number. Drawing one costs a commit without a flush, and only
 * where there are new ids.
 *
 * A mark belongs to the connection it was made on. After a crash of the server, sequence values and numbers that nobody
 * had made durable are given out again, so a mark must not outlive it. What was safe once stays so: the cursor that
 * says so was committed after it.
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const LAST_ID = {
  name: 'outbox_last_id',
  text: `
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id,
      pg_snapshot_xmin(pg_current_snapshot())::text AS xmin
    FROM order_events_id_seq`,
};

const DRAW = { name: 'outbox_draw', text: 'SELECT pg_current_xact_id()::text AS xid' };

const XMIN = { name: 'outbox_xmin', text: 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin' };

export type Horizon = {
  /** Every event with an id up to this is visible or will never exist. Never falls. */
  safe_id: number;
  /** Ids given out: behind `safe_id` something is under way. */
  last_id: number;
};

/**
 * Each call looks once. `client` is ONE connection, outside any transaction; when it is lost so is what this knows, and
 * a new one begins from nothing.
 */
export function createHorizon(client: Queryable): () => Promise<Horizon> {
  let safe_id = 0;
  let mark: { id: number; xid: bigint } | undefined;

  const reached = (xmin: string): void => {
    if (!mark || BigInt(xmin) < mark.xid) return;
    safe_id = mark.id;
    mark = undefined;
  };

  return async () => {
    const [{ id, xmin }] = await rows<{ id: number; xmin: string }>(client, LAST_ID);
    reached(xmin);
    if (!mark && id > safe_id) {
      const [{ xid }] = await rows<{ xid: string }>(client, DRAW);
      mark = { id, xid: BigInt(xid) };
      // Most often nobody else is writing, and it is safe at once.
      const [now] = await rows<{ xmin: string }>(client, XMIN);
      reached(now.xmin);
    }
    return { safe_id, last_id: id };
  };
}
