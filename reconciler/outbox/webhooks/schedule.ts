/** When a webhook that was not taken is tried again: the schedule that Standard Webhooks 1.0 recommends, with jitter. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** After the first failed try, the second, ... Then it is given up: about three days after the event. */
export const RETRY_AFTER_MS: readonly number[] = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

export const TRIES_MAX = RETRY_AFTER_MS.length + 1;

/** Up to a tenth more or less: what failed together does not come again together. */
const JITTER = 0.1;
/** A receiver may ask for so much patience. */
export const RETRY_AFTER_MS_MAX = 24 * HOUR;

/**
 * ms until the next try after `tries` that failed, or null: none. `asked_ms`: what the receiver asked for; it makes the
 * wait longer, never shorter. `random` is from 0 to 1.
 */
export function retryDelayMs(tries: number, random: number, asked_ms = 0): number | null {
  const planned_ms = RETRY_AFTER_MS[tries - 1];
  if (planned_ms === undefined) return null;
  const jittered_ms = planned_ms * (1 + JITTER * (2 * random - 1));
  return Math.round(Math.max(jittered_ms, Math.min(asked_ms, RETRY_AFTER_MS_MAX)));
}

/** A Retry-After header in ms from now: seconds, or a date. 0 where it says nothing. */
export function retryAfterMs(header: string | undefined, now_ms: number): number {
  if (header === undefined) return 0;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * SECOND;
  // Dates of HTTP end so; Date.parse alone would take nearly anything.
  const at_ms = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at_ms) ? 0 : Math.max(0, at_ms - now_ms);
}
