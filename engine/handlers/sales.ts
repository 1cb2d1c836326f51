/** What everybody may see of a sale: GET /v1/sales/{id} and GET /v1/inventory/{sku}. */
import { RedisUnavailable } from '../../platform/redis.ts';
import { iso, json, type Reply, refuse } from '../reply.ts';
import { queryValue } from '../request.ts';
import { type Handler, invalid } from '../route.ts';
import type { Sale } from '../sales/sale.ts';
import type { SaleStock } from '../sales/stock.ts';
import { findSale, isSale } from './find-sale.ts';
import type { Services } from './services.ts';

export function saleHandlers(services: Pick<Services, 'sales' | 'stock'>) {
  const { sales, stock } = services;

  async function withStock(
    tenant: string,
    id: string,
    answer: (sale: Sale, now: SaleStock) => Reply,
  ): Promise<Reply> {
    const sale = await findSale(sales, tenant, id);
    if (!isSale(sale)) return sale;
    try {
      return answer(sale, await stock(sale));
    } catch (error) {
      if (error instanceof RedisUnavailable) return refuse('unavailable');
      throw error;
    }
  }

  const sale: Handler = ({ head, caller }) =>
    withStock(caller.tenant, head.params[0], (found, now) => json(200, saleView(found, now)));

  const inventory: Handler = ({ head, caller }) => {
    const [sku] = head.params;
    const sale_id = queryValue(head, 'sale_id');
    if (!sale_id) return invalid([{ path: '/sale_id', message: 'is required' }]);
    return withStock(caller.tenant, sale_id, (found, now) => {
      const item = found.items.get(sku);
      if (!item) return refuse('not_found');
      return json(200, {
        ...{ sale_id, sku, state: now.state, unit_price: item.unit_price, currency: found.currency },
        ...{ available: now.available[item.position], held: now.held[item.position] },
        server_time: iso(now.now_ms),
      });
    });
  };

  return { sale, inventory };
}

const optionalTime = (time_ms: number): string | null => (time_ms > 0 ? iso(time_ms) : null);

export function saleView(sale: Sale, now: SaleStock) {
  return {
    id: sale.id,
    state: now.state,
    currency: sale.currency,
    opens_at: optionalTime(sale.opens_at_ms),
    closes_at: optionalTime(sale.closes_at_ms),
    hold_seconds: sale.hold_ms / 1000,
    limit_per_buyer: sale.limit,
    server_time: iso(now.now_ms),
    items: [...sale.items.values()].map(({ sku, name, unit_price, position }) => ({
      ...{ sku, name, unit_price },
      available: now.available[position],
      held: now.held[position],
    })),
  };
}
