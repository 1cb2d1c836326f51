/**
 * One chunk of the stream into the ledger: orders, items, stock, movements, answers, payment jobs and the
 * cursor in one transaction. A crash anywhere leaves the cursor where it was, and the chunk comes again.
 *
 * Fit is decided before the stock rows are locked: nobody but the one ingester takes units in the ledger, all others
 * only give back, so what fits the counters read fits those that are updated. The rows, which every confirmation needs
 * too, are then locked for two statements and not for the whole chunk. What does not fit is decided again under the lock.
 */

import { answeredRequests, answerRequests } from '../../ledger/sales/operator-requests.ts';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import { insertGates } from '../../ledger/stream/insert-gates.ts';
import { insertMovements } from '../../ledger/stream/insert-movements.ts';
import { insertOrders } from '../../ledger/stream/insert-orders.ts';
import { knownOrders } from '../../ledger/stream/known-orders.ts';
import { lockStock, readStock } from '../../ledger/stream/lock-stock.ts';
import { moveCursor } from '../../ledger/stream/move-cursor.ts';
import { updateStock } from '../../ledger/stream/update-stock.ts';
import type { StreamEntry } from '../../lua/entries.ts';
import type { Pool, Queryable } from '../../platform/postgres.ts';
import { withTransaction } from '../../platform/postgres.ts';
import { type ChunkPlan, planChunk } from './plan-chunk.ts';

/** Adds whatever makes payment begin for these orders, in the given transaction. */
export type EnqueueAuthorize = (tx: Queryable, orderIds: readonly string[]) => Promise<void>;

export type WriteChunk = {
  sale: FollowedSale;
  entries: readonly StreamEntry[];
  /** Redis clock when the entries were read, ms. */
  now_ms: number;
  grace_ms: number;
  enqueueAuthorize: EnqueueAuthorize;
  /**
   * Drained from a memory that is about to be replaced: what it says of movements counts no more, and where it is not
   * the one the ledger has followed the cursor goes where it is told.
   */
  drained?: { seq: number; digest: Buffer };
  /**
   * Look first which orders the ledger has already: repeats of what Redis had forgotten. Without it one of them fails the
   * whole chunk (constraint `orders_pkey`). It costs a tenth of the chunk, and hardly ever finds anything.
   */
  expect_known: boolean;
  /** Called once, if orders are written: when Postgres is at work on them and we have nothing to do. */
  meanwhile?: () => void;
};

/** Throws CursorMoved when the ledger's cursor is not where `sale` says: nothing was written. */
export function writeChunk(pool: Pool, chunk: WriteChunk): Promise<ChunkPlan> {
  const { sale, entries, now_ms, grace_ms } = chunk;
  const skus = new Set<string>();
  const order_ids: string[] = [];
  for (const entry of entries) {
    for (const { sku } of entry.stock) skus.add(sku);
    for (const order of entry.orders) {
      order_ids.push(order.order_id);
      for (const { sku } of order.lines) skus.add(sku);
    }
  }
  return withTransaction(pool, async (tx) => {
    const look = chunk.expect_known && order_ids.length > 0;
    const known = look ? await knownOrders(tx, order_ids) : new Set<string>();
    const reduces = entries.flatMap((entry) => (entry.reduce ? [entry.reduce.request_id] : []));
    const answered = chunk.drained && (await answeredRequests(tx, sale.sale_no, reduces));
    const planWith = async (read: typeof readStock) => {
      const stock = skus.size > 0 ? await read(tx, sale.sale_no, [...skus]) : [];
      const given_up = chunk.drained !== undefined;
      return planChunk(entries, { now_ms, grace_ms, chain: sale.chain, stock, known, given_up, answered });
    };
    let plan = await planWith(readStock);
    if (plan.fenced_reason) plan = await planWith(lockStock);
    await insertOrders(tx, sale, plan.orders, chunk.meanwhile);
    await insertMovements(tx, sale.sale_no, plan.movements);
    await insertGates(tx, sale.sale_no, plan.gates);
    await answerRequests(tx, sale.sale_no, plan.answers);
    if (plan.to_authorize.length > 0) await chunk.enqueueAuthorize(tx, plan.to_authorize);
    if (skus.size > 0) await lockStock(tx, sale.sale_no, [...skus]);
    await updateStock(tx, sale.sale_no, plan.stock);
    const move = chunk.drained ? { ...plan, ...chunk.drained, applied_n: sale.applied_n } : plan;
    await moveCursor(tx, sale.sale_no, { ...move, epoch: sale.epoch, from_seq: sale.seq });
    return plan;
  });
}
