/** A purchase a transaction: the engine's own front, and Postgres in the place of the batches to Redis. */
import type { Reserve } from '../../engine/checkout/port.ts';
import type { Pool } from '../../platform/postgres.ts';
import { buyInTransaction, purchaseOf } from './ledger.ts';
import { type TakeStock, VersionMoved } from './take-stock.ts';

const TRIES_MAX = 100;

export function reserveInPostgres(db: Pool, take: TakeStock): Reserve {
  return async (request) => {
    const purchase = purchaseOf(request);
    if (!purchase) return { kind: 'unknown_sku', sku: request.lines[0]?.sku ?? '' };
    for (let tries = 1; ; tries++) {
      try {
        return await buyInTransaction(db, purchase, take);
      } catch (error) {
        if (!(error instanceof VersionMoved)) throw error;
        if (tries === TRIES_MAX) return { kind: 'overloaded' };
      }
    }
  };
}
