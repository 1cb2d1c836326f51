/** A followed sale as the scripts want it. */
import type { FollowedSale } from '../ledger/stream/cursor.ts';
import type { SaleToken } from '../lua/scripts.ts';

export function placeOf(sale: FollowedSale): SaleToken & { route: Buffer } {
  const { tenant, sale: id, generation, epoch, route } = sale;
  return { tenant, sale: id, generation, epoch, route };
}
