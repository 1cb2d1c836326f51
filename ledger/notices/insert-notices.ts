/**
 * Notices that events make. One that is there already (same event, channel and recipient) stays as it is.
 *
 * $1 event ids  $2 order ids  $3 notices  $4 channels  $5 recipients  $6 details (json text)  $7 times of the events
 * $8 reasons not to send them, null where there is none
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const INSERT_NOTICES = {
  name: 'insert_notices',
  text: `
    INSERT INTO notices (event_id, order_id, notice, channel, recipient, detail, event_at, state, last_error)
    SELECT event_id, order_id, notice, channel, recipient, detail::jsonb, event_at,
      CASE WHEN skip IS NULL THEN 'wanted' ELSE 'skipped' END, skip
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
      AS n (event_id, order_id, notice, channel, recipient, detail, event_at, skip)
    ON CONFLICT (event_id, channel, recipient) DO NOTHING`,
};

export const CHANNELS = ['email', 'sms', 'whatsapp'] as const;
export type Channel = (typeof CHANNELS)[number];

export type NewNotice = {
  event_id: number;
  order_id: string;
  notice: string;
  channel: Channel;
  recipient: string;
  detail: object | null;
  event_at: Date;
  /** Why it is not to be sent; null: it is. */
  skip: string | null;
};

/** Returns how many are new. */
export function insertNotices(db: Queryable, notices: readonly NewNotice[]): Promise<number> {
  return changes(db, INSERT_NOTICES, [
    notices.map((notice) => notice.event_id),
    notices.map((notice) => notice.order_id),
    notices.map((notice) => notice.notice),
    notices.map((notice) => notice.channel),
    notices.map((notice) => notice.recipient),
    notices.map((notice) => notice.detail && JSON.stringify(notice.detail)),
    notices.map((notice) => notice.event_at),
    notices.map((notice) => notice.skip),
  ]);
}
