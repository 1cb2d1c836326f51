/**
 * A tenant's orders for its operators, newest sale first and within a sale the newest order first, by pages. A page
 * looks at a bounded number of orders, so it may hold fewer than asked for, or none, and still not be the last.
 *
 * $1 tenant  $2 sale id or null  $3 state or null  $4-$6 where to go on: sale_no, stream position, order id; or null
 * $7 orders looked at at most  $8 orders returned at most
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

/** `found` is cut after `limit`; where it is not, the page ends where looking ended. */
const LIST_ORDERS = {
  name: 'list_orders',
  text: `
    WITH seen AS MATERIALIZED (
      SELECT s.sale_no, s.id AS sale, o.*
      FROM sales s, LATERAL (
        SELECT o.id AS order_id, o.seq, o.buyer, o.currency, o.total, o.reserved_at, o.updated_at,
          CASE WHEN o.held AND o.expires_at <= (SELECT expiry_horizon()) THEN 'expired' ELSE o.state END AS state
        FROM orders o
        WHERE o.sale_no = s.sale_no AND (o.seq, o.id) < (
          CASE WHEN s.sale_no = $4 THEN $5::bigint ELSE 9223372036854775807 END,
          CASE WHEN s.sale_no = $4 THEN $6::text ELSE '' END COLLATE "C"
        )
        ORDER BY o.seq DESC, o.id DESC
        LIMIT $7
      ) o
      WHERE s.tenant = $1 AND ($2::text IS NULL OR s.id = $2) AND ($4::bigint IS NULL OR s.sale_no <= $4)
      ORDER BY s.sale_no DESC, o.seq DESC, o.order_id DESC
      LIMIT $7
    ), numbered AS MATERIALIZED (
      SELECT *, row_number() OVER (ORDER BY sale_no DESC, seq DESC, order_id DESC) AS place FROM seen
    ), found AS MATERIALIZED (
      SELECT * FROM numbered WHERE $3::text IS NULL OR state = $3 ORDER BY place LIMIT $8
    )
    SELECT * FROM found
    UNION ALL
    SELECT * FROM numbered
    WHERE place = $7 AND (SELECT count(*) FROM found) < $8 AND place NOT IN (SELECT place FROM found)
    ORDER BY place`,
};

/** Orders that one page looks at. */
export const ORDERS_SEEN_MAX = 2_000;

export type OrderPlace = { sale_no: number; seq: number; order_id: string };

export type ListedOrder = {
  order_id: string;
  sale: string;
  state: OrderState;
  buyer: string;
  /** Minor units. */
  total: number;
  currency: string;
  reserved_at: Date;
  updated_at: Date;
};

export type OrderPage = {
  orders: ListedOrder[];
  /** Where the next page begins; null: there is nothing behind this one. */
  next: OrderPlace | null;
};

export type ListOrders = {
  tenant: string;
  sale?: string;
  state?: OrderState;
  after?: OrderPlace;
  /** Orders of a page. */
  limit: number;
  /** Default ORDERS_SEEN_MAX. */
  seen_max?: number;
};

export async function listOrders(db: Queryable, request: ListOrders): Promise<OrderPage> {
  const { tenant, sale = null, state = null, after, limit } = request;
  // Without a filter everything that is looked at is found.
  const seen_max = state === null ? limit : Math.max(limit, request.seen_max ?? ORDERS_SEEN_MAX);
  const place = [after?.sale_no ?? null, after?.seq ?? null, after?.order_id ?? null];
  const values = [tenant, sale, state, ...place, seen_max, limit];
  const found = await rows<ListedOrder & OrderPlace & { place: number }>(db, LIST_ORDERS, values);
  const orders = found.filter((row) => state === null || row.state === state).slice(0, limit);
  const last = found.at(-1);
  const more = last !== undefined && (orders.length === limit || last.place === seen_max);
  return {
    orders,
    next: more ? { sale_no: last.sale_no, seq: last.seq, order_id: last.order_id } : null,
  };
}
