/** Follows an order until nothing more is to be expected: often at first, seldom later, not at all in the background. */
import type { Answer } from './api.ts';
import type { Order, Problem } from './api-types.ts';
import { isPayingBack, stateRow } from './order-words.ts';

export type OrderWatch = {
  /** Asks at once, as after a cancellation. */
  look(): void;
  stop(): void;
};

export type WatchOptions = {
  ask: () => Promise<Answer<Order>>;
  onOrder: (order: Order) => void;
  /** The order can't be had: it is not this buyer's, or the session is over. Ends the watch. */
  onRefused: (problem: Problem) => void;
  /** False while the last question stayed without an answer. */
  onReachable?: (reachable: boolean) => void;
  hidden?: () => boolean;
};

const FAST_MS = 400;
const FAST_LOOKS = 20;
const SLOW_MS = 2_000;
/** After a good end: it may still be shipped or canceled from elsewhere, but nobody waits for it. */
const IDLE_MS = 15_000;

export function watchOrder(options: WatchOptions): OrderWatch {
  const { ask, hidden = () => document.hidden } = options;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let asking = false;
  let looks = 0;

  async function look(): Promise<void> {
    if (asking || stopped) return;
    asking = true;
    clearTimeout(timer);
    const answer = await ask();
    asking = false;
    if (stopped) return;
    looks += 1;
    let next_ms = looks < FAST_LOOKS ? FAST_MS : SLOW_MS;
    if (answer.kind === 'ok') {
      const { mood } = stateRow(answer.body.state);
      options.onReachable?.(true);
      options.onOrder(answer.body);
      if (mood === 'bad' && !isPayingBack(answer.body)) return stop();
      if (mood === 'bad') next_ms = SLOW_MS;
      if (mood === 'good') next_ms = IDLE_MS;
    } else if (answer.kind === 'refused' && answer.problem.status < 500 && answer.problem.status !== 429) {
      options.onRefused(answer.problem);
      return stop();
    } else {
      options.onReachable?.(false);
      next_ms = Math.max(SLOW_MS, answer.kind === 'refused' ? (answer.retry_after_ms ?? 0) : 0);
    }
    plan(next_ms);
  }

  function plan(ms: number): void {
    if (stopped) return;
    timer = setTimeout(() => (hidden() ? plan(SLOW_MS) : void look()), ms);
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
  }

  void look();
  return { look: () => void look(), stop };
}
