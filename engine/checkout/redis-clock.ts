/**
 * The Redis clock as this engine knows it: the offset between it and our own steady clock, corrected by
 * every reply. Scripts compare deadlines with their own TIME, so a deadline must be told in it.
 */

export type RedisClock = {
  /** The Redis clock now, ms since 1970, as far as we know. */
  now_ms(): number;
  /** A reply told the time; `sent_ms` is the steady clock when the call went out. */
  heard(redis_ms: number, sent_ms: number): void;
};

/** The steady clock: never set back, ms. */
export const steady_ms = (): number => performance.timeOrigin + performance.now();

export function createRedisClock(now: () => number = steady_ms): RedisClock {
  let offset_ms = 0;
  return {
    now_ms: () => Math.floor(now() + offset_ms),
    heard(redis_ms, sent_ms) {
      // Between sending and now; the middle is wrong by at most half the round trip.
      offset_ms = redis_ms - (sent_ms + now()) / 2;
    },
  };
}
