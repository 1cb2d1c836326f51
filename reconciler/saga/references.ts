/**
 * Stores created payments' references, many at once: what comes while a write is under way makes the next. No timer
 * adds latency when idle.
 */
import { storeReferences } from '../../ledger/payments/store-references.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';

const BATCH_MAX = 500;

type Waiting = {
  id: string;
  psp_ref: string;
  resolve: (stored: boolean) => void;
  reject: (error: unknown) => void;
};

/** The function resolves to false where the payment may not be confirmed. Rejects if the ledger is away. */
export function createReferenceStore(pool: Pool): (id: string, psp_ref: string) => Promise<boolean> {
  let queue: Waiting[] = [];
  let writing = false;

  async function write(): Promise<void> {
    while (queue.length > 0) {
      const batch = take();
      try {
        const stored = await withTransaction(pool, (tx) => storeReferences(tx, batch));
        for (const { id, resolve } of batch) resolve(stored.has(id));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = false;
  }

  /** Each attempt once. */
  function take(): Waiting[] {
    const batch = new Map<string, Waiting>();
    const rest: Waiting[] = [];
    for (const waiting of queue) {
      if (batch.size < BATCH_MAX && !batch.has(waiting.id)) batch.set(waiting.id, waiting);
      else rest.push(waiting);
    }
    queue = rest;
    return [...batch.values()];
  }

  return (id, psp_ref) =>
    new Promise((resolve, reject) => {
      queue.push({ id, psp_ref, resolve, reject });
      if (writing) return;
      writing = true;
      setImmediate(() => void write());
    });
}
