/**
 * One order as a buyer sees it: items, payments, history. A hold that is over reads `expired`, swept or not.
 *
 * $1 tenant  $2 order id
 */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { Contact } from '../../domain/contact.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { Amounts } from '../../domain/pricing.ts';
import type { PaymentMethod, PricedLine, Road, ShippingAddress } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';
import type { AttemptRow } from '../payments/attempt-row.ts';

const FIND_ORDER = {
  name: 'find_order',
  text: `
    SELECT o.id AS order_id, o.tenant, s.id AS sale, o.buyer, o.road,
      CASE WHEN o.held AND o.expires_at <= expiry_horizon()
        THEN 'expired' ELSE o.state END AS state,
      json_build_object('currency', o.currency, 'subtotal', o.subtotal, 'discount', o.discount,
        'shipping', o.shipping, 'tax', o.tax, 'total', o.total) AS amounts,
      o.payment_method ->> 'type' AS method_type, o.shipping_address, o.contact,
      o.reserved_at, o.first_expires_at, o.expires_at, o.updated_at, now() AS now,
      (SELECT json_agg(json_build_object('sku', i.sku, 'qty', i.qty, 'unit_price', i.unit_price) ORDER BY i.line)
        FROM order_items i WHERE i.order_id = o.id) AS items,
      (SELECT coalesce(json_agg(json_build_object('id', a.id, 'no', a.no, 'psp', a.psp,
          'method_type', a.method_type, 'amount', a.amount, 'currency', a.currency, 'state', a.state,
          'reversal_wanted', a.reversal_wanted, 'decline_code', a.decline_code,
          'next_action', CASE WHEN a.state IN ('pending', 'unknown') AND NOT a.reversal_wanted THEN a.next_action END,
          'captured', CASE WHEN a.state IN ('captured', 'refunded') THEN a.amount ELSE 0 END,
          'refunded', CASE a.state WHEN 'refunded' THEN a.amount ELSE a.refunded END,
          'created_at_ms', (extract(epoch FROM a.created_at) * 1000)::bigint,
          'updated_at_ms', (extract(epoch FROM a.updated_at) * 1000)::bigint) ORDER BY a.no), '[]')
        FROM attempts a WHERE a.order_id = o.id) AS attempts,
      (SELECT json_agg(json_build_object('at_ms', (extract(epoch FROM e.at) * 1000)::bigint,
          'from', e.from_state, 'to', e.to_state, 'cause', e.cause, 'actor', e.actor, 'detail', e.detail) ORDER BY e.id)
        FROM order_events e WHERE e.order_id = o.id) AS history,
      (SELECT json_build_object('carrier', p.carrier, 'tracking_number', p.tracking_number,
          'tracking_url', p.tracking_url, 'recorded_at_ms', (extract(epoch FROM p.recorded_at) * 1000)::bigint)
        FROM shipments p WHERE p.order_id = o.id) AS shipment
    FROM orders o JOIN sales s USING (sale_no)
    WHERE o.tenant = $1 AND o.id = $2`,
};

/** Money that moved (minor units), or why it did not. */
export type EventDetail = { amount?: number; currency?: string; code?: string };

export type OrderView = {
  order_id: string;
  tenant: string;
  sale: string;
  buyer: string;
  road: Road;
  state: OrderState;
  /** Minor units. */
  amounts: Amounts;
  method_type: PaymentMethod['type'] | null;
  shipping_address: ShippingAddress | null;
  contact: Contact | null;
  /** By the Redis clock, as the buyer was told. */
  reserved_at: Date;
  first_expires_at: Date;
  /** By the ledger's clock; `now` is the ledger's too. */
  expires_at: Date;
  updated_at: Date;
  now: Date;
  items: PricedLine[];
  attempts: {
    id: string;
    no: number;
    psp: string;
    method_type: string;
    amount: number;
    currency: string;
    state: AttemptState;
    reversal_wanted: boolean;
    decline_code: string | null;
    next_action: AttemptRow['next_action'];
    /** Minor units taken, and given back of them. */
    captured: number;
    refunded: number;
    created_at_ms: number;
    updated_at_ms: number;
  }[];
  /** An event that leads from a state to itself tells of money or of the parcel. */
  history: {
    at_ms: number;
    from: OrderState | null;
    to: OrderState;
    cause: string;
    actor: string;
    detail: EventDetail | null;
  }[];
  /** Recorded before the order is shipped. */
  shipment: {
    carrier: string | null;
    tracking_number: string | null;
    tracking_url: string | null;
    recorded_at_ms: number;
  } | null;
};

/** Whoever asks must be held against `buyer`. Payment tokens are not in it. */
export async function findOrder(
  db: Queryable,
  tenant: string,
  orderId: string,
): Promise<OrderView | undefined> {
  return (await rows<OrderView>(db, FIND_ORDER, [tenant, orderId]))[0];
}
