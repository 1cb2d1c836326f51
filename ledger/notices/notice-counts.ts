/** How many notices wait, and since when the oldest does, by channel. Over the index of those that wait. */
import { type Queryable, rows } from '../../platform/postgres.ts';
import type { Channel } from './insert-notices.ts';

const NOTICES_WAITING = {
  name: 'notices_waiting',
  text: `
    SELECT channel, count(*) AS waiting, extract(epoch FROM now() - min(wanted_at))::float8 AS oldest_seconds
    FROM notices WHERE state IN ('wanted', 'sending') GROUP BY channel`,
};

export type WaitingNotices = { channel: Channel; waiting: number; oldest_seconds: number };

export function noticesWaiting(db: Queryable): Promise<WaitingNotices[]> {
  return rows(db, NOTICES_WAITING);
}
