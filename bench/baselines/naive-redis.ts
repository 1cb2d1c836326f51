/**
 * SET NX PX for the hold, DECRBY for the stock, and INCRBY to give back what was too much: no script, so three round trips, no
 * limit and a window in which a crash loses the unit. Shown because it is what tutorials teach.
 */
import { Redis } from 'ioredis';
import type { Reserve } from '../../engine/checkout/port.ts';
import { accepted, HOLD_MS, purchaseOf, soldOut } from './ledger.ts';

export function reserveNaively(redis_url: string): Reserve {
  const redis = new Redis(redis_url, { enableAutoPipelining: true });
  return async (request) => {
    const purchase = purchaseOf(request);
    if (!purchase) return { kind: 'unknown_sku', sku: request.lines[0]?.sku ?? '' };
    const { sale, buyer, key } = request;
    const now = new Date();
    const times = { reserved_at: now, expires_at: new Date(now.getTime() + HOLD_MS) };
    const hold = `baseline:hold:${sale.id}:${buyer}:${key}`;
    if ((await redis.set(hold, purchase.id, 'PX', HOLD_MS, 'NX')) === null) {
      return accepted({ ...purchase, id: (await redis.get(hold)) ?? '' }, times, true);
    }
    for (const { sku, qty } of purchase.lines) {
      const stock = `baseline:stock:${sale.id}:${sku}`;
      if ((await redis.decrby(stock, qty)) >= 0) continue;
      await redis.incrby(stock, qty);
      await redis.del(hold);
      return soldOut(purchase).outcome;
    }
    return accepted(purchase, times, false);
  };
}
