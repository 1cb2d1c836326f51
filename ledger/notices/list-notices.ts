/**
 * Notices for an operator's eyes, newest first; recipients are not in it.
 *
 * LIST: $1 state or null for all  $2 order id or null  $3 how many at most
 * RETRY: $1 ids, or null for all that failed  $2 order id or null
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

export const NOTICE_STATES = ['wanted', 'sending', 'sent', 'failed', 'skipped'] as const;
export type NoticeState = (typeof NOTICE_STATES)[number];

const LIST_NOTICES = {
  name: 'list_notices',
  text: `
    SELECT id, event_id, order_id, notice, channel, state, tries, last_error, message_id, wanted_at, updated_at,
      next_try_at
    FROM notices
    WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR order_id = $2)
    ORDER BY updated_at DESC, event_id DESC LIMIT $3`,
};

const RETRY_NOTICES = {
  name: 'retry_notices',
  text: `
    UPDATE notices SET state = 'wanted', next_try_at = now(), wanted_at = now(), deferred = false, updated_at = now()
    WHERE state = 'failed' AND ($1::uuid[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR order_id = $2)
    RETURNING id`,
};

export type ListedNotice = {
  id: string;
  event_id: number;
  order_id: string;
  notice: string;
  channel: string;
  state: NoticeState;
  tries: number;
  last_error: string | null;
  message_id: string | null;
  wanted_at: Date;
  updated_at: Date;
  next_try_at: Date;
};

export function listNotices(
  db: Queryable,
  filter: { state?: NoticeState; order_id?: string; limit: number },
): Promise<ListedNotice[]> {
  return rows(db, LIST_NOTICES, [filter.state ?? null, filter.order_id ?? null, filter.limit]);
}

/** Failed notices that are tried anew, with the whole patience. Returns their ids. */
export async function retryNotices(
  db: Queryable,
  which: { ids?: readonly string[]; order_id?: string },
): Promise<string[]> {
  const values = [which.ids ?? null, which.order_id ?? null];
  return (await rows<{ id: string }>(db, RETRY_NOTICES, values)).map(({ id }) => id);
}
