/** The orders placed from this browser, newest first: ids only, everything else is asked for. */

export type MyOrders = { list(): string[]; add(order_id: string): void };

const ORDERS_MAX = 20;

export function myOrders(store: Storage, sale_id: string, buyer: string): MyOrders {
  const stored_as = `stampede.orders ${buyer} ${sale_id}`;
  const list = (): string[] => {
    try {
      const found: unknown = JSON.parse(store.getItem(stored_as) ?? '[]');
      return Array.isArray(found) ? found.filter((id): id is string => typeof id === 'string') : [];
    } catch {
      return [];
    }
  };
  return {
    list,
    add(order_id) {
      const others = list().filter((id) => id !== order_id);
      store.setItem(stored_as, JSON.stringify([order_id, ...others].slice(0, ORDERS_MAX)));
    },
  };
}
