/**
 * Payments give way to ingest: in a rush the ledger first learns who has what, and payments follow. They wait for a
 * moment only, so they go on, slower, even where ingest never catches up.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export type GiveWayOptions = {
  /** How far ingest is behind, ms. */
  lagMs: () => number;
  /** A lag worth waiting for, ms. */
  above_ms?: number;
  at_most_ms?: number;
};

/** Resolves when ingest is not behind, or after `at_most_ms`. */
export function createGiveWay({
  lagMs,
  above_ms = 150,
  at_most_ms = 1_000,
}: GiveWayOptions): () => Promise<void> {
  return async () => {
    const until = performance.now() + at_most_ms;
    while (lagMs() > above_ms && performance.now() < until) await sleep(20);
  };
}
