/**
 * Gathers what was found out and writes it in bulk: what arrives while writes are under way makes the next. No timer
 * adds latency when idle.
 */
import { isUnavailable, type Pool } from '../../platform/postgres.ts';
import { type Settle, type Settlement, settle } from './settle.ts';

export type Settler = {
  /** Resolves once it is in the ledger. Rejects if it could not be written: look again. */
  add(settlement: Settlement): Promise<void>;
};

const BATCH_MAX = 500;
/**
 * One write at a time makes the biggest batches. But confirmations of one sale may have to wait at its stock, and
 * whatever else there is need not wait with them: after a while another write goes past.
 */
const WRITES_AT_ONCE = 2;
const OVERTAKE_MS = 30;

type Waiting = { settlement: Settlement; resolve: () => void; reject: (error: unknown) => void };

export type SettlerOptions = {
  pool: Pool;
  /** How long an authorization of a provider can be captured, ms. */
  capture_within_ms: (psp: string) => number | undefined;
  on_settled: (result: Settle) => void;
};

export function createSettler(options: SettlerOptions): Settler {
  const { pool, on_settled } = options;
  let queue: Waiting[] = [];
  /** Attempts in writes under way: what comes about them next waits, so that findings are written in order. */
  const busy = new Set<string>();
  let writes = 0;
  let scheduled = false;
  let overtaking: NodeJS.Timeout | undefined;

  function schedule(): void {
    if (scheduled || writes >= WRITES_AT_ONCE) return;
    if (writes > 0) {
      overtaking ??= setTimeout(() => {
        overtaking = undefined;
        if (writes < WRITES_AT_ONCE) void write();
      }, OVERTAKE_MS);
      return;
    }
    scheduled = true;
    // After this turn of the event loop, when others may have come.
    setImmediate(() => {
      scheduled = false;
      void write();
    });
  }

  async function write(): Promise<void> {
    const batch = take();
    if (batch.length === 0) return;
    writes += 1;
    if (queue.length > 0) schedule();
    await writeBatch(batch);
    writes -= 1;
    clearTimeout(overtaking);
    overtaking = undefined;
    for (const { settlement } of batch) busy.delete(settlement.attempt.id);
    if (queue.length > 0) schedule();
  }

  /** The first that fit a batch, each attempt once. */
  function take(): Waiting[] {
    const batch: Waiting[] = [];
    const rest: Waiting[] = [];
    const passed = new Set(busy);
    for (const waiting of queue) {
      const { id } = waiting.settlement.attempt;
      if (batch.length < BATCH_MAX && !passed.has(id)) {
        batch.push(waiting);
        busy.add(id);
      } else {
        rest.push(waiting);
      }
      passed.add(id);
    }
    queue = rest;
    return batch;
  }

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      on_settled(
        await settle(
          pool,
          batch.map(({ settlement }) => settlement),
          options.capture_within_ms,
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
        schedule();
      });
    },
  };
}
