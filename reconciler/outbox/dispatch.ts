/** Hands a sink its next events: one transaction for what it writes and for its cursor. */
import { lockCursor, moveCursor } from '../../ledger/outbox/cursors.ts';
import { readEvents } from '../../ledger/outbox/read-events.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import type { AnySink, Wanted } from './sink.ts';

/** Events handed over at once, and ids looked through for them. */
export const EVENTS_MAX = 1_000;
const IDS_MAX = 10_000;

export type Dispatched = {
  /** Where the sink's cursor stands. */
  position: number;
  /** How many events it was handed. */
  taken: number;
  /** False: nobody wants anything of it at present. */
  wanted: boolean;
};

/** `safe_id`: as the horizon says. Rejects if the sink does; then nothing has changed. */
export function dispatch(pool: Pool, sink: AnySink, safe_id: number): Promise<Dispatched> {
  return withTransaction(pool, async (tx) => {
    // Another dispatcher that woke up late waits here, and then sees how far this one has come.
    const position = await lockCursor(tx, sink.name);
    if (position >= safe_id) return { position, taken: 0, wanted: true };
    if ('takeIds' in sink) {
      const range = { after: position, upto: Math.min(safe_id, position + sink.ids_max) };
      const taken = await sink.takeIds(tx, range);
      await moveCursor(tx, sink.name, position, range.upto);
      return { position: range.upto, taken, wanted: true };
    }
    const wanted: Wanted = (await sink.wants?.(tx)) ?? 'all';
    if (wanted === 'none') {
      await moveCursor(tx, sink.name, position, safe_id);
      return { position: safe_id, taken: 0, wanted: false };
    }
    const upto = Math.min(safe_id, position + IDS_MAX);
    const filter = wanted === 'all' ? {} : wanted;
    const events = await readEvents(tx, { after: position, upto, limit: EVENTS_MAX, ...filter });
    if (events.length > 0) await sink.take(tx, events);
    const to = events.length === EVENTS_MAX ? events[events.length - 1].id : upto;
    await moveCursor(tx, sink.name, position, to);
    return { position: to, taken: events.length, wanted: true };
  });
}
