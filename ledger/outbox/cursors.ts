/**
 * Cursors of sinks, and what lies before them.
 *
 * FIND_OR_START: $1 sink  $2 from the start?
 * LOCK: $1 sink
 * MOVE: $1 sink  $2 from  $3 to
 * LAG: $1 sink
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';

const START_CURSOR = {
  name: 'outbox_start_cursor',
  text: `
    INSERT INTO outbox_cursors (sink, position)
    SELECT $1, CASE WHEN is_called AND NOT $2 THEN last_value ELSE 0 END FROM order_events_id_seq
    ON CONFLICT (sink) DO NOTHING`,
};

const FIND_CURSOR = {
  name: 'outbox_find_cursor',
  text: 'SELECT position FROM outbox_cursors WHERE sink = $1',
};

const LOCK_CURSOR = {
  name: 'outbox_lock_cursor',
  text: 'SELECT position FROM outbox_cursors WHERE sink = $1 FOR NO KEY UPDATE',
};

const MOVE_CURSOR = {
  name: 'outbox_move_cursor',
  text: 'UPDATE outbox_cursors SET position = $3, updated_at = now() WHERE sink = $1 AND position = $2 AND $3 > $2',
};

const LAG = {
  name: 'outbox_lag',
  text: `
    SELECT CASE WHEN s.is_called THEN s.last_value - c.position ELSE 0 END AS events,
      coalesce((SELECT extract(epoch FROM clock_timestamp() - e.at)::float8 FROM order_events e
        WHERE e.id > c.position ORDER BY e.id LIMIT 1), 0) AS seconds
    FROM outbox_cursors c, order_events_id_seq s WHERE c.sink = $1`,
};

/** Position of a sink's cursor; one that is not there yet begins. */
export async function findOrStartCursor(
  db: Queryable,
  sink: string,
  from: 'start' | 'end' = 'end',
): Promise<number> {
  const found = await rows<{ position: number }>(db, FIND_CURSOR, [sink]);
  if (found.length > 0) return found[0].position;
  await changes(db, START_CURSOR, [sink, from === 'start']);
  return (await rows<{ position: number }>(db, FIND_CURSOR, [sink]))[0].position;
}

/** Until the transaction ends nobody else moves it. Throws if there is no such cursor. */
export async function lockCursor(tx: Queryable, sink: string): Promise<number> {
  const [cursor] = await rows<{ position: number }>(tx, LOCK_CURSOR, [sink]);
  if (!cursor) throw new Error(`sink ${sink} has no cursor`);
  return cursor.position;
}

/** Throws if it is no longer at `from`: then somebody else has taken these events. */
export async function moveCursor(tx: Queryable, sink: string, from: number, to: number): Promise<void> {
  if ((await changes(tx, MOVE_CURSOR, [sink, from, to])) !== 1) {
    throw new Error(`the cursor of sink ${sink} is not at ${from}`);
  }
}

/** Ids before the cursor (a few of them may never have become events), and how old the first event there is. */
export async function sinkLag(db: Queryable, sink: string): Promise<{ events: number; seconds: number }> {
  const [lag] = await rows<{ events: number; seconds: number }>(db, LAG, [sink]);
  return lag && lag.events > 0 ? lag : { events: 0, seconds: 0 };
}
