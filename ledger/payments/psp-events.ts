/**
 * Inbox of the PSPs' webhooks: inserted once for ever, then settled by the saga. An event about something
 * the ledger does not know yet waits.
 *
 * INSERT: $1 provider  $2 event id  $3 body
 * CLAIM: $1 how many at most  $2 for how long they are claimed, ms
 * SETTLED: $1 ids
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';

const INSERT_PSP_EVENT = {
  name: 'insert_psp_event',
  text: `
    INSERT INTO psp_events (provider, event_id, body) VALUES ($1, $2, $3)
    ON CONFLICT (provider, event_id) DO NOTHING`,
};

const CLAIM_PSP_EVENTS = {
  name: 'claim_psp_events',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM psp_events WHERE settled_at IS NULL AND next_look_at <= now()
      ORDER BY next_look_at, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE psp_events e SET tries = e.tries + 1, next_look_at = now() + $2 * interval '1 millisecond'
    FROM due WHERE e.id = due.id
    RETURNING e.id, e.provider, e.event_id, e.body, e.received_at, e.tries`,
};

const SETTLE_PSP_EVENTS = {
  name: 'settle_psp_events',
  text: 'UPDATE psp_events SET settled_at = now() WHERE id = ANY ($1) AND settled_at IS NULL',
};

export type PspEventRow = {
  id: number;
  provider: string;
  event_id: string;
  body: unknown;
  received_at: Date;
  tries: number;
};

/** `known`: this event came before. Either way it is stored when this returns, and may be answered 200. */
export async function insertPspEvent(
  db: Queryable,
  event: { provider: string; event_id: string; body: unknown },
): Promise<'new' | 'known'> {
  const values = [event.provider, event.event_id, JSON.stringify(event.body)];
  return (await changes(db, INSERT_PSP_EVENT, values)) === 1 ? 'new' : 'known';
}

export async function claimPspEvents(
  db: Queryable,
  options: { limit: number; lease_ms: number },
): Promise<PspEventRow[]> {
  const claimed = await rows<PspEventRow>(db, CLAIM_PSP_EVENTS, [options.limit, options.lease_ms]);
  return claimed.sort((a, b) => a.id - b.id);
}

export async function settlePspEvents(db: Queryable, ids: readonly number[]): Promise<void> {
  await changes(db, SETTLE_PSP_EVENTS, [ids]);
}
