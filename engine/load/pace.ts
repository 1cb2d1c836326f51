/** How many requests are served a millisecond: the mean of the last second, from who was let in and who still waits. */
export type Pace = {
  /** A turn begins: `admitted` were let in since the last one began, `waiting` have no answer yet. */
  turn(now_ms: number, admitted: number, waiting: number): void;
  /** 0 until something is known. */
  per_ms(): number;
};

const WINDOW_MS = 100;
const SPAN_MS = 1_000;

export function createPace(): Pace {
  const windows: { served: number; ms: number }[] = [];
  let began_ms: number | undefined;
  let served = 0;
  let waited = 0;
  let span_ms = 0;
  let per_ms = 0;
  return {
    turn(now_ms, admitted, waiting) {
      served += admitted + waited - waiting;
      waited = waiting;
      began_ms ??= now_ms;
      const ms = now_ms - began_ms;
      if (ms < WINDOW_MS) return;
      windows.push({ served: Math.max(0, served), ms });
      span_ms += ms;
      while (span_ms - (windows[0]?.ms ?? 0) >= SPAN_MS) span_ms -= windows.shift()?.ms ?? 0;
      per_ms = windows.reduce((sum, window) => sum + window.served, 0) / span_ms;
      began_ms = now_ms;
      served = 0;
    },
    per_ms: () => per_ms,
  };
}
