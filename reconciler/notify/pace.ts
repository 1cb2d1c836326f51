/** So many a second on average, and no more than a second's worth at once. */
export type Pace = {
  /** How many may go now. */
  available(): number;
  take(count: number): void;
  /** Until one may go, ms; at least 1. */
  wait_ms(): number;
};

export function createPace(rate: number, now_ms: () => number = () => performance.now()): Pace {
  let left = rate;
  let at_ms = now_ms();
  const refill = () => {
    const now = now_ms();
    left = Math.min(rate, left + ((now - at_ms) / 1000) * rate);
    at_ms = now;
  };
  return {
    available() {
      refill();
      return Math.floor(left);
    },
    take(count) {
      left -= count;
    },
    wait_ms() {
      refill();
      return Math.max(1, Math.ceil(((1 - left) / rate) * 1000));
    },
  };
}
