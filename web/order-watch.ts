/**
 * Follows an order until nothing more is to be expected of it or of its money: often while the buyer waits for an
 * outcome, seldom later, not at all in the background.
 */
import type { Answer } from './api.ts';
import type { Order, Problem } from './api-types.ts';
import { outlookOf } from './order-outlook.ts';

export type OrderWatch = {
  /** Asks at once, as after a cancellation or when the page comes back into view. */
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
  random?: () => number;
};

type Pace = { first_ms: number; growth: number; ms_max: number };

/** How often, by what is waited for: ever more seldom while nothing changes, quick again when something did. */
const PACES: Readonly<Record<'moving' | 'good' | 'bad' | 'unreachable', Pace>> = {
  moving: { first_ms: 400, growth: 1.12, ms_max: 4_000 },
  // It may be shipped, canceled or refunded from elsewhere; nobody sits and waits for that.
  good: { first_ms: 2_000, growth: 1.4, ms_max: 60_000 },
  // Its money is on the way back.
  bad: { first_ms: 800, growth: 1.3, ms_max: 20_000 },
  unreachable: { first_ms: 2_000, growth: 1.5, ms_max: 20_000 },
};

export function watchOrder(options: WatchOptions): OrderWatch {
  const { ask, hidden = () => document.hidden, random = Math.random } = options;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let asking = false;
  let wanted_again = false;
  let waited_for = '';
  let wait_ms = 0;

  async function look(): Promise<void> {
    if (stopped) return;
    if (asking) {
      wanted_again = true;
      return;
    }
    asking = true;
    clearTimeout(timer);
    const answer = await ask();
    asking = false;
    if (stopped) return;
    if (answer.kind === 'ok') {
      const { mood, title, settled } = outlookOf(answer.body);
      options.onReachable?.(true);
      options.onOrder(answer.body);
      if (settled) return stop();
      plan(PACES[mood], `${title} ${answer.body.history?.length}`);
    } else if (answer.kind === 'refused' && answer.problem.status < 500 && answer.problem.status !== 429) {
      options.onRefused(answer.problem);
      return stop();
    } else {
      options.onReachable?.(false);
      plan(PACES.unreachable, 'unreachable', answer.kind === 'refused' ? answer.retry_after_ms : undefined);
    }
  }

  /** `wait_for`: a new one begins at the quick end again. */
  function plan(pace: Pace, wait_for: string, ms_min = 0): void {
    if (stopped) return;
    wait_ms = wait_for === waited_for ? Math.min(pace.ms_max, wait_ms * pace.growth) : pace.first_ms;
    waited_for = wait_for;
    const again = wanted_again;
    wanted_again = false;
    if (again) return void look();
    // Not all at once with everybody else.
    timer = setTimeout(due, Math.max(ms_min, wait_ms * (0.85 + random() * 0.3)));
  }

  function due(): void {
    if (hidden()) timer = setTimeout(due, PACES.moving.ms_max);
    else void look();
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
  }

  void look();
  return { look: () => void look(), stop };
}
