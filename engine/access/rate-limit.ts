/**
 * Token buckets: `rate` a second, a burst of twice that. One number a key (when its bucket would be full
 * again, the "theoretical arrival time" of GCRA), and a key that has been idle long enough to be full again
 * is forgotten, which changes nothing for it.
 */
import { createTurningMap } from './turning-map.ts';

export type Allowance = {
  /** Requests that would still be let through at once; negative: this one was refused. */
  remaining: number;
  /** Until the next one is let through, seconds, rounded up. 0 while there are some left. */
  retry_after_seconds: number;
  /** Until the bucket is full again, seconds, rounded up. */
  reset_seconds: number;
};

export type RateLimit = {
  take(key: string): Allowance;
  /** Most requests at once. */
  readonly burst: number;
  readonly window_seconds: number;
};

export type RateLimitOptions = {
  rate_per_second: number;
  now_ms?: () => number;
  /** Keys remembered at most; above, the longest idle are forgotten early and get a full bucket. */
  keys_max?: number;
};

const BURST_FACTOR = 2;

export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { rate_per_second, now_ms = () => performance.now(), keys_max = 400_000 } = options;
  const interval_ms = 1000 / rate_per_second;
  // A rate below one in two seconds still lets one through.
  const burst = Math.max(1, Math.floor(rate_per_second * BURST_FACTOR));
  const burst_ms = burst * interval_ms;
  const full_at = createTurningMap<number>(keys_max);
  let turned_ms = now_ms();

  return {
    burst,
    window_seconds: Math.ceil(burst_ms / 1000),
    take(key) {
      const now = now_ms();
      if (now - turned_ms > burst_ms) {
        full_at.turn();
        turned_ms = now;
      }
      const filled_ms = Math.max(now, full_at.get(key) ?? 0);
      const after_ms = filled_ms + interval_ms;
      // Half a microsecond for what floating point loses.
      const refused = after_ms - now > burst_ms + 0.0005;
      if (!refused) full_at.set(key, after_ms);
      const debt_ms = (refused ? filled_ms : after_ms) - now;
      return {
        remaining: refused ? -1 : Math.floor((burst_ms - debt_ms) / interval_ms + 0.000_001),
        retry_after_seconds: refused ? Math.max(1, Math.ceil((after_ms - now - burst_ms) / 1000)) : 0,
        reset_seconds: Math.ceil(debt_ms / 1000),
      };
    },
  };
}
