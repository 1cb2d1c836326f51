/** How much of a product there was: the most this tab has seen, for the API tells only what is left. */

export type StockMemory = {
  /** The most units of `sku` seen for sale, `available` now. */
  totalOf(sku: string, available: number): number;
};

export function createStockMemory(store: Storage, sale_id: string): StockMemory {
  const stored_as = `stampede.stock ${sale_id}`;
  const seen = new Map<string, number>(Object.entries(JSON.parse(store.getItem(stored_as) ?? '{}')));
  return {
    totalOf(sku, available) {
      const total = Math.max(available, seen.get(sku) ?? 0);
      if (total !== seen.get(sku)) {
        seen.set(sku, total);
        store.setItem(stored_as, JSON.stringify(Object.fromEntries(seen)));
      }
      return total;
    },
  };
}
