/**
 * Gathers what was found out and writes it in bulk: what arrives while one write is under way makes the next. No
 * timer adds latency when idle.
 */
import { isUnavailable, type Pool } from '../../platform/postgres.ts';
import { type Settle, type Settlement, settle } from './settle.ts';

export type Settler = {
  /** Resolves once it is in the ledger. Rejects if it could not be written: look again. */
  add(settlement: Settlement): Promise<void>;
};

const BATCH_MAX = 500;

type Waiting = { settlement: Settlement; resolve: () => void; reject: (error: unknown) => void };

export function createSettler(pool: Pool, on_settled: (result: Settle) => void): Settler {
  let queue: Waiting[] = [];
  let writing = false;

  async function write(): Promise<void> {
    writing = true;
    while (queue.length > 0) {
      const { batch, rest } = takeDistinct(queue);
      queue = rest;
      await writeBatch(batch);
    }
    writing = false;
  }

  async function writeBatch(batch: Waiting[]): Promise<void> {
    try {
      on_settled(
        await settle(
          pool,
          batch.map(({ settlement }) => settlement),
        ),
      );
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (batch.length === 1 || isUnavailable(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      // One that can't be written must not take the others with it.
      for (const waiting of batch) await writeBatch([waiting]);
    }
  }

  return {
    add(settlement) {
      return new Promise<void>((resolve, reject) => {
        queue.push({ settlement, resolve, reject });
        // After this turn of the event loop, when others may have come.
        if (!writing) {
          writing = true;
          setImmediate(() => void write());
        }
      });
    },
  };
}

/** The first that fit a batch, no attempt twice: the second finding about it waits for the next. */
function takeDistinct(queue: readonly Waiting[]): { batch: Waiting[]; rest: Waiting[] } {
  const seen = new Set<string>();
  const batch: Waiting[] = [];
  const rest: Waiting[] = [];
  for (const waiting of queue) {
    const { id } = waiting.settlement.attempt;
    if (batch.length < BATCH_MAX && !seen.has(id)) batch.push(waiting);
    else rest.push(waiting);
    seen.add(id);
  }
  return { batch, rest };
}
