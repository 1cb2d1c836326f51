/**
 * Stock goes first: in a rush the ledger learns who has what (decision 0041), and holds that run out by the thousand give
 * their units back (0042); payments and whoever only tells others follow. They wait for a while only, short against any
 * hold, so they go on, slower, even where stock never catches up.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export type GiveWayOptions = {
  /** How far whatever goes first is behind, ms. */
  behindMs: () => number;
  /** Worth waiting for, ms. */
  above_ms?: number;
  at_most_ms?: number;
};

/** Resolves when that is not behind, or after `at_most_ms`. */
export function createGiveWay({
  behindMs,
  above_ms = 150,
  at_most_ms = 5_000,
}: GiveWayOptions): () => Promise<void> {
  return async () => {
    const until = performance.now() + at_most_ms;
    while (behindMs() > above_ms && performance.now() < until) await sleep(20);
  };
}
