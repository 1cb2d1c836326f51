/**
 * How many notices wait, and since when the oldest does, by channel. One that its server wants later is counted, and
 * not looked at for its age: a mailbox that is full for two days is no outage. Over the index of those that wait.
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import type { Channel } from './insert-notices.ts';

const NOTICES_WAITING = {
  name: 'notices_waiting',
  text: `
    SELECT channel, count(*) AS waiting, 
      coalesce(extract(epoch FROM now() - min(wanted_at) FILTER (WHERE NOT deferred)), 0)::float8 AS oldest_seconds
    FROM notices WHERE state IN ('wanted', 'sending') GROUP BY channel`,
};

export type WaitingNotices = { channel: Channel; waiting: number; oldest_seconds: number };

export function noticesWaiting(db: Queryable): Promise<WaitingNotices[]> {
  return rows(db, NOTICES_WAITING);
}
