/** Buyers as a sane client behaves: the same request under the same key, until an answer is final. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, inParallel } from '../../../bench/stampede/api.ts';

export type Buyer = { sub: string; key: string };

export type Final = {
  buyer: Buyer;
  /** Of the answer that was final: 201, or a refusal that is no 429 and no 5xx. */
  status: number;
  code?: string;
  order_id?: string;
  total?: number;
  /** Tries that brought no final answer, and those of them that were answered at all. */
  lost: number;
  refusals: { status: number; code: unknown; retry_after: string | null }[];
};

export type Sale = { id: string; items: { sku: string; qty: number }[]; units: number };

/** Creates a sale of `units` of each SKU, one purchase a buyer. */
export async function createSale(
  { api, admin }: { api: Api; admin: string },
  id: string,
  units: number,
  skus = ['first'],
  terms: { psp?: string; currency?: string; capture?: string; unit_price?: number } = {},
): Promise<Sale> {
  const { unit_price = 1_250, ...payment } = terms;
  const body = {
    ...{ id, currency: 'USD', hold_seconds: 600, limit_per_buyer: skus.length, ...payment },
    items: skus.map((sku) => ({ sku, name: `E2E ${sku}`, unit_price, qty: units })),
  };
  const { status, body: answer } = await api.call('POST', '/v1/admin/sales', { token: admin, body });
  if (status !== 201) throw new Error(`sale refused: ${status} ${JSON.stringify(answer)}`);
  return { id, items: skus.map((sku) => ({ sku, qty: 1 })), units };
}

export function buyersOf(sale: Sale, count: number): Buyer[] {
  return Array.from({ length: count }, (_, i) => ({
    sub: `${sale.id}-buyer-${i}`,
    key: `${sale.id}-key-${String(i).padStart(12, '0')}`,
  }));
}

export function checkoutBody(sale: Sale) {
  return {
    sale_id: sale.id,
    items: sale.items,
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      name: 'E2E',
      line1: '1 Main St',
      city: 'Springfield',
      postal_code: '12345',
      country: 'US',
    },
  };
}

/** Every buyer buys once, `lanes` at a time. `on_accepted` counts first 201s. */
export function buyAll(
  api: Api,
  sale: Sale,
  buyers: readonly Buyer[],
  options: { lanes: number; patience_ms: number; on_accepted?: (count: number) => void },
): Promise<Final[]> {
  const body = checkoutBody(sale);
  const deadline_ms = Date.now() + options.patience_ms;
  let accepted = 0;
  return inParallel(buyers, options.lanes, async (buyer) => {
    const token = api.token(buyer.sub, 'buyer');
    const refusals: Final['refusals'] = [];
    for (let lost = 0; ; lost += 1) {
      const answer = await api
        .call('POST', '/v1/checkout', { token, key: buyer.key, body })
        .catch(() => undefined);
      if (answer && answer.status !== 429 && answer.status < 500) {
        if (answer.status === 201) options.on_accepted?.(++accepted);
        const { code, order_id, amounts } = answer.body as {
          code?: string;
          order_id?: string;
          amounts?: { total: number };
        };
        return { buyer, status: answer.status, code, order_id, total: amounts?.total, lost, refusals };
      }
      if (answer) {
        refusals.push({
          status: answer.status,
          code: answer.body.code,
          retry_after: answer.headers.get('retry-after'),
        });
      }
      if (Date.now() > deadline_ms)
        throw new Error(`${buyer.sub} has no answer: ${answer?.status} ${JSON.stringify(answer?.body)}`);
      await sleep(100);
    }
  });
}
