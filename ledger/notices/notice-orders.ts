/**
 * Orders as their notices tell of them.
 *
 * CONTACTS, ORDERS: $1 order ids
 */
import type { Amounts } from '../../domain/pricing.ts';
import type { ShippingAddress } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const CONTACTS = {
  name: 'notice_contacts',
  text: 'SELECT id AS order_id, contact FROM orders WHERE id = ANY ($1) AND contact IS NOT NULL',
};

const ORDERS = {
  name: 'notice_orders',
  text: `
    SELECT o.id AS order_id, o.tenant, s.id AS sale, o.state, o.reserved_at, o.shipping_address, o.contact,
      json_build_object('currency', o.currency, 'subtotal', o.subtotal, 'discount', o.discount,
        'shipping', o.shipping, 'tax', o.tax, 'total', o.total) AS amounts,
      (SELECT json_agg(json_build_object('sku', i.sku, 'name', k.name, 'qty', i.qty, 'unit_price', i.unit_price)
          ORDER BY i.line)
        FROM order_items i JOIN skus k ON k.sale_no = o.sale_no AND k.sku = i.sku
        WHERE i.order_id = o.id) AS items,
      (SELECT json_build_object('psp', a.psp, 'method_type', a.method_type, 'decline_code', a.decline_code)
        FROM attempts a WHERE a.order_id = o.id ORDER BY a.no DESC LIMIT 1) AS payment,
      (SELECT json_build_object('carrier', p.carrier, 'tracking_number', p.tracking_number,
          'tracking_url', p.tracking_url)
        FROM shipments p WHERE p.order_id = o.id) AS shipment,
      (SELECT json_build_object('no', i.no, 'issued_at_ms', (extract(epoch FROM i.issued_at) * 1000)::bigint)
        FROM invoices i WHERE i.order_id = o.id) AS invoice
    FROM orders o JOIN sales s USING (sale_no)
    WHERE o.id = ANY ($1)`,
};

export type Contact = { email?: string; phone?: string };

export type NoticeOrder = {
  order_id: string;
  tenant: string;
  sale: string;
  state: string;
  reserved_at: Date;
  shipping_address: ShippingAddress | null;
  contact: Contact | null;
  /** Minor units. */
  amounts: Amounts;
  items: { sku: string; name: string; qty: number; unit_price: number }[];
  /** The last attempt; null: nobody tried to pay. */
  payment: { psp: string; method_type: string; decline_code: string | null } | null;
  shipment: { carrier: string | null; tracking_number: string | null; tracking_url: string | null } | null;
  invoice: { no: number; issued_at_ms: number } | null;
};

/** Of those orders that have one. */
export async function noticeContacts(
  db: Queryable,
  orderIds: readonly string[],
): Promise<Map<string, Contact>> {
  const found = await rows<{ order_id: string; contact: Contact }>(db, CONTACTS, [orderIds]);
  return new Map(found.map(({ order_id, contact }) => [order_id, contact]));
}

export async function noticeOrders(
  db: Queryable,
  orderIds: readonly string[],
): Promise<Map<string, NoticeOrder>> {
  const found = await rows<NoticeOrder>(db, ORDERS, [orderIds]);
  return new Map(found.map((order) => [order.order_id, order]));
}
