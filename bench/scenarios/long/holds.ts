/**
 * Many live holds in both stores, made as engines and the reconciler make them: taken by the script in full batches, one a
 * distinct buyer, each of one unit and waiting for its payment, and ingested by the reconciler that runs.
 */
import { reserveBlind } from '../../../test/support/reconciler.ts';
import { type Stores, saleRow, untilIngested } from './stores.ts';

const BATCH = 500;
const TELL_EVERY = 100_000;

export type Holds = {
  /** Takes `count` units of this SKU, and waits until the ledger has them. */
  sale: string;
  sku: string;
  count: number;
  say: (line: string) => void;
};

export async function putHolds(stores: Stores, { sale, sku, count, say }: Holds): Promise<void> {
  const row = await saleRow(stores.db, sale);
  for (let taken = 0; taken < count; taken += BATCH) {
    const lines = [{ sku, qty: 1 }];
    const requests = Array.from({ length: Math.min(BATCH, count - taken) }, () => ({
      lines,
      road: 'lock' as const,
    }));
    const { statuses, refused } = await reserveBlind(stores.redis, row, [sku], requests);
    if (statuses !== 'a'.repeat(requests.length))
      throw new Error(`a batch was answered ${refused ?? statuses}`);
    if ((taken + BATCH) % TELL_EVERY === 0) say(`  ${(taken + BATCH).toLocaleString('en')} holds taken`);
  }
  await untilIngested(stores, sale, say);
  say(`  ${count.toLocaleString('en')} holds in both stores`);
}
