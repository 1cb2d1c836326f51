/**
 * Notices whose time has come, marked `sending` and lent out for a while: whoever has them commits this before a
 * server is spoken to. `again`: somebody had it before and never said what became of it, so it may have gone out.
 * Of an order's notices on one channel the earlier comes first, whatever it takes.
 *
 * $1 channel  $2 how many at most  $3 for how long, ms  $4 domain of new Message-IDs, null on channels without them
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import type { Channel } from './insert-notices.ts';

const CLAIM_NOTICES = {
  name: 'claim_notices',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id, state = 'sending' AS again FROM notices n
      WHERE state IN ('wanted', 'sending') AND channel = $1 AND next_try_at <= now()
        AND NOT EXISTS (
          SELECT FROM notices e
          -- With '' added the planner can't take notices_due here, and read all that wait for each of them.
          WHERE e.order_id = n.order_id AND e.channel || '' = n.channel AND e.event_id < n.event_id
            AND e.state IN ('wanted', 'sending'))
      ORDER BY next_try_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE notices n SET state = 'sending', tries = n.tries + 1, updated_at = now(),
      next_try_at = now() + $3 * interval '1 millisecond',
      message_id = coalesce(n.message_id, '<' || n.id || '@' || $4::text || '>')
    FROM due WHERE n.id = due.id
    RETURNING n.id, n.event_id, n.order_id, n.notice, n.channel, n.recipient, n.detail, n.event_at, n.tries,
      n.message_id, n.wanted_at, due.again`,
};

export type ClaimedNotice = {
  id: string;
  event_id: number;
  order_id: string;
  notice: string;
  channel: Channel;
  recipient: string;
  detail: { amount?: number; currency?: string; code?: string } | null;
  event_at: Date;
  /** This one included. */
  tries: number;
  message_id: string | null;
  wanted_at: Date;
  again: boolean;
};

export function claimNotices(
  db: Queryable,
  options: { channel: Channel; limit: number; lease_ms: number; domain: string | null },
): Promise<ClaimedNotice[]> {
  const { channel, limit, lease_ms, domain } = options;
  return rows(db, CLAIM_NOTICES, [channel, limit, lease_ms, domain]);
}
