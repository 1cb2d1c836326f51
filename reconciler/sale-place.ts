/** A followed sale as the scripts want it. */
import type { FollowedSale } from '../ledger/stream/cursor.ts';
import type { SaleFields, SaleToken } from '../lua/scripts.ts';

export function placeOf(sale: FollowedSale): SaleToken & { route: Buffer } {
  const { tenant, sale: id, generation, epoch, route } = sale;
  return { tenant, sale: id, generation, epoch, route };
}

/** What its record says of the sale itself. */
export function fieldsOf(sale: FollowedSale): SaleFields {
  const { gate, gate_version, opens_at_ms, closes_at_ms, hold_ms, limit_per_buyer, salt, route, currency } =
    sale;
  return {
    gate,
    gate_version,
    opens_at_ms,
    closes_at_ms,
    hold_ms,
    limit: limit_per_buyer,
    salt,
    route,
    currency,
  };
}
