/**
 * What time it is at the engine. The browser's own clock may be wrong and may be set while the page is open,
 * so nothing here reads it: an answer's `server_time` is carried forward by a clock that only runs.
 */

export type ServerClock = {
  /** Times by `performance.now()`: when the request left and when its answer was there. */
  observe(server_time: string | undefined, sent_ms: number, received_ms: number): void;
  /** ms since 1970, or undefined before the first answer. */
  now(): number | undefined;
};

/** A better sample replaces a worse one; after this long any does, for clocks drift. */
const SAMPLE_MS_MAX = 60_000;

export function createServerClock(running_ms: () => number = () => performance.now()): ServerClock {
  let sample: { offset_ms: number; round_trip_ms: number; at_ms: number } | undefined;
  return {
    observe(server_time, sent_ms, received_ms) {
      const server_ms = Date.parse(server_time ?? '');
      if (!Number.isFinite(server_ms)) return;
      const round_trip_ms = received_ms - sent_ms;
      const stale = !sample || received_ms - sample.at_ms > SAMPLE_MS_MAX;
      if (!stale && sample && sample.round_trip_ms < round_trip_ms) return;
      // The answer was written, on average, half way.
      sample = { offset_ms: server_ms - (sent_ms + received_ms) / 2, round_trip_ms, at_ms: received_ms };
    },
    now: () => (sample ? running_ms() + sample.offset_ms : undefined),
  };
}
