/**
 * A parcel is on its way. Recorded first; the order is `shipped` in the same transaction if its money is there, else
 * its capture is asked for (`enqueue`) and whoever settles that capture ships it. So no order is ever shipped unpaid.
 *
 * LOCK: $1 tenant  $2 order id
 * INSERT: $1 order id  $2 carrier  $3 tracking number  $4 tracking URL  $5 actor
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { shipOrders } from './ship-orders.ts';

const LOCK = {
  name: 'record_shipment_lock',
  text: 'SELECT id, state FROM orders WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE',
};

const UNCAPTURED = {
  name: 'record_shipment_uncaptured',
  text: `SELECT id FROM attempts WHERE order_id = $1 AND state IN ('pending', 'unknown', 'authorized')`,
};

const INSERT = {
  name: 'record_shipment_insert',
  text: `
    INSERT INTO shipments AS s (order_id, carrier, tracking_number, tracking_url, actor) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id`,
};

const KNOWN = {
  name: 'record_shipment_known',
  text: 'SELECT carrier, tracking_number, tracking_url FROM shipments WHERE order_id = $1',
};

export type ShipmentRequest = {
  tenant: string;
  order_id: string;
  carrier?: string | null;
  tracking_number?: string | null;
  tracking_url?: string | null;
  actor: string;
};

export type ShipmentRecorded =
  /** `already`: with the same parcel; `state` tells whether it is shipped by now. */
  | { kind: 'already'; state: OrderState }
  | { kind: 'shipped' }
  /** Its money is being captured: shipped as soon as that is settled. */
  | { kind: 'recorded' }
  /** Another parcel is recorded. */
  | { kind: 'conflict' }
  /** Its money is gone: the provider gave it back by itself. Nothing was written. */
  | { kind: 'unpaid' }
  | { kind: 'not_found' }
  | { kind: 'invalid_state'; state: OrderState };

/** `enqueue` gets the attempts that are to be captured: put them into `saga-capture`. */
export function recordShipment(
  pool: Pool,
  request: ShipmentRequest,
  enqueue: (tx: Queryable, attemptIds: readonly string[]) => Promise<void>,
): Promise<ShipmentRecorded> {
  const recorded = withTransaction(pool, async (tx): Promise<ShipmentRecorded> => {
    const { order_id, carrier = null, tracking_number = null, tracking_url = null, actor } = request;
    const [order] = await rows<{ state: OrderState }>(tx, LOCK, [request.tenant, order_id]);
    if (!order) return { kind: 'not_found' };
    const [known] = await rows<{ carrier: unknown; tracking_number: unknown; tracking_url: unknown }>(
      tx,
      KNOWN,
      [order_id],
    );
    if (known) {
      const same =
        known.carrier === carrier &&
        known.tracking_number === tracking_number &&
        known.tracking_url === tracking_url;
      return same ? { kind: 'already', state: order.state } : { kind: 'conflict' };
    }
    if (order.state !== 'confirmed') return { kind: 'invalid_state', state: order.state };
    await rows(tx, INSERT, [order_id, carrier, tracking_number, tracking_url, actor]);
    const shipped = await shipOrders(tx, [order_id]);
    if (shipped.length > 0) return { kind: 'shipped' };
    const attempts = await rows<{ id: string }>(tx, UNCAPTURED, [order_id]);
    // Its money has gone without our doing: nothing is there that a parcel could be sent for.
    if (attempts.length === 0) throw new Unpaid();
    await enqueue(
      tx,
      attempts.map(({ id }) => id),
    );
    return { kind: 'recorded' };
  });
  return recorded.catch((error: unknown) => {
    if (error instanceof Unpaid) return { kind: 'unpaid' };
    throw error;
  });
}

/** Undoes the transaction. */
class Unpaid extends Error {}
