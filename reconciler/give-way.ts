/**
 * Payments give way to ingest: in a rush the ledger first learns who has what, and payments follow. Whoever only tells others
 * gives way to holds that run out by the thousand, too: their stock comes first. They wait for a while only, short against any hold,
 * so they go on, slower, even where ingest never catches up (decision 0041).
 */
import { setTimeout as sleep } from 'node:timers/promises';

export type GiveWayOptions = {
  /** How far whatever goes first is behind, ms. */
  lagMs: () => number;
  /** A lag worth waiting for, ms. */
  above_ms?: number;
  at_most_ms?: number;
};

/** Resolves when that is not behind, or after `at_most_ms`. */
export function createGiveWay({
  lagMs,
  above_ms = 150,
  at_most_ms = 5_000,
}: GiveWayOptions): () => Promise<void> {
  return async () => {
    const until = performance.now() + at_most_ms;
    while (lagMs() > above_ms && performance.now() < until) await sleep(20);
  };
}
