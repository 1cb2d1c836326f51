/** How much of the stream one transaction takes. */
import type { StreamEntry } from '../../lua/entries.ts';

/** Orders of one transaction, unless a single entry has more: enough that what each transaction costs counts for little, soon over. */
export const CHUNK_ORDERS_MAX = 2_048;

/** The first entries that make a chunk; at least one. */
export function firstOrders(entries: readonly StreamEntry[]): readonly StreamEntry[] {
  let orders = 0;
  const end = entries.findIndex((entry, i) => {
    orders += entry.orders.length;
    return i > 0 && orders > CHUNK_ORDERS_MAX;
  });
  return end < 0 ? entries : entries.slice(0, end);
}
