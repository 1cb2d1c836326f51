/** A sale whose stream is full: orders as engines take them, in batches, which the ledger does not have yet. */
import type { Redis } from 'ioredis';
import { enqueueAuthorize } from '../../payments/jobs/enqueue.ts';
import type { Pool } from '../../platform/postgres.ts';
import { type Rig, type RigRequest, rig } from '../../test/support/reconciler.ts';

export type StreamTerms = { orders: number; lines: number; batch: number };

const ADDRESS = {
  ...{ name: 'Bench Buyer', line1: '1 Main St', city: 'Springfield' },
  ...{ postal_code: '12345', country: 'US' },
};

export async function fillStream(db: Pool, redis: Redis, terms: StreamTerms): Promise<Rig> {
  const { orders, lines, batch } = terms;
  const skus = Array.from({ length: lines }, (_, i) => `sku-${i + 1}`);
  const sale = await rig({
    ...{ db, redis, limit: 2 * lines },
    items: skus.map((sku) => ({ sku, qty: orders })),
    deps: { enqueueAuthorize },
  });
  await sale.settle();
  const row = await sale.sale();
  const order: RigRequest = { lines: skus.map((sku) => ({ sku, qty: 1 })), shipping_address: ADDRESS };
  for (let taken = 0; taken < orders; taken += batch) {
    const count = Math.min(batch, orders - taken);
    const { statuses } = await sale.reserveBlind(row, new Array<RigRequest>(count).fill(order));
    if (statuses !== 'a'.repeat(count)) throw new Error(`a batch was answered ${statuses}`);
  }
  return sale;
}
