/**
 * An operator adds units: `total` grows, and a movement takes them to Redis. Once per Idempotency-Key.
 *
 * SALE: $1 tenant  $2 sale
 * TOPUP: $1 sale_no, then columns: $2 SKUs  $3 quantities
 */
import { STOCK_UNITS_MAX } from '../../domain/limits.ts';
import type { Line } from '../../domain/types.ts';
import { type Pool, rows, withTransaction } from '../../platform/postgres.ts';
import { lockStock } from '../stream/lock-stock.ts';
import { answerRequest, claimRequest, type OperatorRequest } from './operator-requests.ts';

const SALE_NO = { name: 'sale_no', text: 'SELECT sale_no FROM sales WHERE tenant = $1 AND id = $2' };

const TOPUP = {
  name: 'topup',
  text: `
    WITH added AS (
      UPDATE skus s SET total = s.total + i.qty
      FROM unnest($2::text[], $3::bigint[]) AS i (sku, qty)
      WHERE s.sale_no = $1 AND s.sku = i.sku
      RETURNING s.sku, i.qty, s.total
    ), moved AS (
      INSERT INTO movements (sale_no, sku, to_available, from_held, cause) SELECT $1, sku, qty, 0, 'topup' FROM added
    )
    SELECT sku, qty, total FROM added ORDER BY sku`,
};

export type TopupAnswer = { items: { sku: string; qty: number; total: number }[] };

export type ToppedUp =
  | { kind: 'done' | 'replay'; answer: TopupAnswer }
  | { kind: 'key_reused' | 'not_found' }
  | { kind: 'unknown_sku'; sku: string }
  /** Would exceed STOCK_UNITS_MAX. */
  | { kind: 'too_many'; sku: string };

/** `items`: each SKU once. */
export function topup(pool: Pool, request: OperatorRequest & { items: readonly Line[] }): Promise<ToppedUp> {
  return withTransaction(pool, async (tx): Promise<ToppedUp> => {
    const [sale] = await rows<{ sale_no: number }>(tx, SALE_NO, [request.tenant, request.sale]);
    if (!sale) return { kind: 'not_found' };
    const skus = request.items.map((item) => item.sku);
    const stock = await lockStock(tx, sale.sale_no, skus);
    for (const { sku, qty } of request.items) {
      const row = stock.find((known) => known.sku === sku);
      if (!row) return { kind: 'unknown_sku', sku };
      if (row.total + qty > STOCK_UNITS_MAX) return { kind: 'too_many', sku };
    }
    const claim = await claimRequest<TopupAnswer>(tx, sale.sale_no, 'topup', request);
    if (claim.kind !== 'new') return claim;
    const items = await rows<TopupAnswer['items'][number]>(tx, TOPUP, [
      sale.sale_no,
      skus,
      request.items.map((item) => item.qty),
    ]);
    const answer = { items };
    await answerRequest(tx, sale.sale_no, request.key, answer);
    return { kind: 'done', answer };
  });
}
