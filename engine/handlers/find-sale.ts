/** The sale a request is about, or the refusal that says why there is none. */
import { type Refusal, refuse } from '../reply.ts';
import type { SaleAnswer, SaleDirectory } from '../sales/directory.ts';
import type { Sale } from '../sales/sale.ts';

export function saleOf(answer: SaleAnswer): Sale | Refusal {
  switch (answer.kind) {
    case 'sale':
      return answer.sale;
    case 'unknown':
      return refuse('not_found');
    case 'recovering':
      return refuse('sale_recovering');
    case 'unavailable':
      return refuse('unavailable');
  }
}

/** At once for a sale that this engine knows. */
export function findSale(sales: SaleDirectory, tenant: string, id: string): Sale | Promise<Sale | Refusal> {
  return sales.known(tenant, id) ?? sales.get(tenant, id).then(saleOf);
}

export function isSale(found: Sale | Refusal): found is Sale {
  return 'token' in found;
}
