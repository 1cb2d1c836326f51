/**
 * A whole sale against itself, in one snapshot: what can only be seen by adding everything up. Reads every order of the
 * sale, so it is done now and then and not for each change.
 *
 * - `counters`: reserved and sold of each SKU are what the orders add up to.
 * - `returns`: units went back exactly once where an order ended, and never otherwise.
 * - `limits`: no buyer holds and owns more than the limit.
 * - `stock`: the total of each SKU is what it was created with, and what operators added and took.
 *
 * Each: $1 sale_no  $2 how many examples at most
 */
import { type Pool, type Queryable, rows, type Statement, withTransaction } from '../platform/postgres.ts';

export const SALE_CHECKS = ['counters', 'returns', 'limits', 'stock'] as const;
export type SaleCheck = (typeof SALE_CHECKS)[number];

const BACK = `(o.state IN ('expired', 'payment_failed', 'canceled') OR (o.state = 'refunded' AND o.restock))`;

/** Each returns the keys of what is wrong. */
const WRONG: Readonly<Record<SaleCheck, string>> = {
  counters: `
    SELECT k.sku AS key FROM skus k LEFT JOIN (
      SELECT i.sku, sum(i.qty) FILTER (WHERE o.held) AS reserved,
        sum(i.qty) FILTER (WHERE o.state IN ('confirmed', 'shipped', 'delivered')
          OR (o.state = 'refunded' AND NOT o.restock)) AS sold
      FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.sale_no = $1 GROUP BY i.sku
    ) AS sums USING (sku)
    WHERE k.sale_no = $1 AND (k.reserved, k.sold) <> (coalesce(sums.reserved, 0), coalesce(sums.sold, 0))`,
  returns: `
    SELECT coalesce(due.order_id, done.order_id) AS key
    FROM (
      SELECT o.id AS order_id, i.sku, sum(i.qty) AS qty
      FROM orders o JOIN order_items i ON i.order_id = o.id
      WHERE o.sale_no = $1 AND ${BACK} GROUP BY 1, 2
    ) AS due
    FULL JOIN (
      SELECT order_id, sku, sum(to_available) AS qty FROM movements
      WHERE sale_no = $1 AND cause = 'released' AND to_available > 0 AND order_id IS NOT NULL GROUP BY 1, 2
    ) AS done ON done.order_id = due.order_id AND done.sku = due.sku
    WHERE due.qty IS DISTINCT FROM done.qty`,
  limits: `
    SELECT encode(o.buyer_hash, 'hex') AS key FROM orders o JOIN sales s USING (sale_no)
    WHERE o.sale_no = $1 AND s.limit_per_buyer > 0 AND o.state <> 'rejected' AND NOT ${BACK}
    GROUP BY o.buyer_hash, s.limit_per_buyer HAVING sum(o.limit_units) > s.limit_per_buyer`,
  stock: `
    SELECT k.sku AS key FROM skus k
    LEFT JOIN (
      SELECT sku, sum(change) AS total, coalesce(sum(change) FILTER (WHERE kind = 'topup'), 0) AS added,
        coalesce(-sum(change) FILTER (WHERE kind = 'reduce'), 0) AS taken
      FROM sale_events WHERE sale_no = $1 AND sku IS NOT NULL GROUP BY sku
    ) AS told USING (sku)
    LEFT JOIN (
      SELECT item ->> 'sku' AS sku, coalesce(sum((item ->> 'qty')::bigint) FILTER (WHERE r.kind = 'topup'), 0) AS added,
        coalesce(sum((item ->> 'qty')::bigint) FILTER (WHERE r.kind = 'reduce'), 0) AS taken
      FROM operator_requests r CROSS JOIN LATERAL jsonb_array_elements(r.answer -> 'items') AS item
      WHERE r.sale_no = $1 AND r.kind IN ('topup', 'reduce') GROUP BY 1
    ) AS asked USING (sku)
    WHERE k.sale_no = $1 AND (k.total IS DISTINCT FROM told.total OR told.added <> coalesce(asked.added, 0)
      OR told.taken > coalesce(asked.taken, 0))`,
};

/** A sale of millions is added up for longer than any other statement may take. */
const STATEMENT_MS_MAX = 120_000;

const STATEMENTS: Readonly<Record<string, Statement>> = Object.fromEntries(
  SALE_CHECKS.map((check) => [
    check,
    {
      name: `audit_sale_${check}`,
      query_timeout: STATEMENT_MS_MAX + 2_000,
      text: `
        WITH wrong AS MATERIALIZED (${WRONG[check]})
        SELECT count(*) AS violations, coalesce((SELECT array_agg(key) FROM (SELECT key FROM wrong LIMIT $2) AS few),
          '{}') AS examples
        FROM wrong`,
    },
  ]),
);

// Plans by key (platform/postgres.ts) would go through a whole sale order by order.
const BY_SIZE = {
  name: 'audit_by_size',
  text: `SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true),
    set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('statement_timeout', '${STATEMENT_MS_MAX}', true)`,
};

export type CheckResult = { violations: number; examples: string[] };

export function auditWholeSale(
  pool: Pool,
  saleNo: number,
  examples_max = 10,
): Promise<Record<SaleCheck, CheckResult>> {
  return withTransaction(
    pool,
    async (tx: Queryable) => {
      await rows(tx, BY_SIZE);
      const results = {} as Record<SaleCheck, CheckResult>;
      for (const check of SALE_CHECKS) {
        [results[check]] = await rows<CheckResult>(tx, STATEMENTS[check], [saleNo, examples_max]);
      }
      return results;
    },
    { mode: 'snapshot' },
  );
}
