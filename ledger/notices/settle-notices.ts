/**
 * What became of notices that were lent out. A row that somebody else has claimed since (its tries say so) stays.
 *
 * $1 ids  $2 their tries when claimed  $3 new states  $4 errors  $5 message ids, null: as it is
 * $6 wait before the next try, ms  $7 whether it was about this notice alone
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const SETTLE_NOTICES = {
  name: 'settle_notices',
  text: `
    UPDATE notices n SET state = s.state, last_error = s.error, deferred = s.deferred, message_id = coalesce(s.message_id, n.message_id),
      next_try_at = now() + s.wait_ms * interval '1 millisecond', updated_at = now()
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::boolean[])
      AS s (id, tries, state, error, message_id, wait_ms, deferred)
    -- With '' added the planner finds rows by id, and can't go through all that wait.
    WHERE n.id = s.id AND n.tries = s.tries AND n.state || '' = 'sending'`,
};

export type NoticeNews = {
  id: string;
  tries: number;
  /** `wanted`: to be tried again. */
  state: 'sent' | 'wanted' | 'failed' | 'skipped';
  error: string | null;
  message_id: string | null;
  /** Before the next try. */
  wait_ms: number;
  /** The server takes others, and wants this one later. */
  deferred: boolean;
};

/** Returns how many it was told in time. */
export function settleNotices(db: Queryable, news: readonly NoticeNews[]): Promise<number> {
  return changes(db, SETTLE_NOTICES, [
    news.map((item) => item.id),
    news.map((item) => item.tries),
    news.map((item) => item.state),
    news.map((item) => item.error),
    news.map((item) => item.message_id),
    news.map((item) => item.wait_ms),
    news.map((item) => item.deferred),
  ]);
}
