/**
 * Buyers who have let as many holds of a sale run out as one may, and have to pause. A buyer's hash is salted by sale,
 * so it names both.
 *
 * $1 length of the pause, ms  $2 how many at most, latest first
 */
import { EXPIRED_HOLDS_MAX, EXPIRED_HOLDS_PAUSE_MS } from '../../domain/limits.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const PAUSED_BUYERS = {
  name: 'paused_buyers',
  text: `
    SELECT buyer_hash, (extract(epoch FROM last_at - now()) * 1000)::bigint + $1 AS left_ms
    FROM expired_holds
    WHERE holds >= ${EXPIRED_HOLDS_MAX} AND last_at > now() - $1 * interval '1 millisecond'
    ORDER BY last_at DESC LIMIT $2`,
};

export type PausedBuyer = { buyer_hash: Buffer; left_ms: number };

export function pausedBuyers(db: Queryable, limit: number): Promise<PausedBuyer[]> {
  return rows<PausedBuyer>(db, PAUSED_BUYERS, [EXPIRED_HOLDS_PAUSE_MS, limit]);
}
