/** An order as its owner sees it, from the ledger or, before and without that, from its reservation. */
import type { OrderView } from '../../ledger/orders/find-order.ts';
import type { Reservation } from '../checkout/port.ts';
import { iso } from '../reply.ts';
import { paymentView } from './payment-view.ts';

/**
 * The 201 of a checkout, as JSON. The same for ever: a replay must give it verbatim. Put together as text, because every
 * success is one; names of SKUs, sales and currencies have nothing in them that JSON would escape (domain/ids.ts).
 */
export function reservationJson(reservation: Reservation): string {
  const { order_id, sale_id, items, amounts, reserved_at_ms, expires_at_ms } = reservation;
  let lines = '';
  for (const { sku, qty, unit_price } of items) {
    lines += `${lines === '' ? '' : ','}{"sku":"${sku}","qty":${qty},"unit_price":${unit_price}}`;
  }
  const { currency, subtotal, discount, shipping, tax, total } = amounts;
  return (
    `{"order_id":"${order_id}","sale_id":"${sale_id}","state":"reserved","items":[${lines}],` +
    `"amounts":{"currency":"${currency}","subtotal":${subtotal},"discount":${discount},"shipping":${shipping},` +
    `"tax":${tax},"total":${total}},` +
    `"reservation":{"expires_at":"${iso(expires_at_ms)}","server_time":"${iso(reserved_at_ms)}"}}`
  );
}

/** Present state as the reservation alone tells it. `as_of_ms` by the Redis clock. */
export function orderFromReservation(reservation: Reservation, as_of_ms: number) {
  const { order_id, sale_id, items, amounts, reserved_at_ms, expires_at_ms } = reservation;
  return {
    order_id,
    sale_id,
    state: 'reserved',
    items,
    amounts,
    reservation: { expires_at: iso(expires_at_ms), server_time: iso(as_of_ms) },
    refunded: 0,
    payments: [],
    shipment: null,
    contact: null,
    history: [
      {
        at: iso(reserved_at_ms),
        from: null,
        to: 'reserved',
        cause: 'reserved',
        actor: 'buyer',
        detail: null,
      },
    ],
    as_of: iso(as_of_ms),
    source: 'reservation',
  };
}

/** Between the clocks of both stores lie milliseconds: a deadline that has not moved reads as it was first told. */
const SAME_DEADLINE_MS = 1_000;

function deadlineOf({ first_expires_at, expires_at }: OrderView): string {
  const told = first_expires_at.getTime();
  const now = expires_at.getTime();
  return iso(Math.abs(now - told) < SAME_DEADLINE_MS ? told : now);
}

export function orderFromLedger(order: OrderView) {
  const { shipment } = order;
  return {
    order_id: order.order_id,
    sale_id: order.sale,
    state: order.state,
    items: order.items,
    amounts: order.amounts,
    reservation: { expires_at: deadlineOf(order), server_time: iso(order.now.getTime()) },
    refunded: order.attempts.reduce((sum, attempt) => sum + attempt.refunded, 0),
    payments: order.attempts.map((attempt) => ({
      ...paymentView(attempt),
      captured: attempt.captured,
      refunded: attempt.refunded,
      reversal_wanted: attempt.reversal_wanted,
      created_at: iso(attempt.created_at_ms),
      updated_at: iso(attempt.updated_at_ms),
    })),
    shipment: shipment && {
      carrier: shipment.carrier,
      tracking_number: shipment.tracking_number,
      tracking_url: shipment.tracking_url,
      recorded_at: iso(shipment.recorded_at_ms),
    },
    contact: order.contact,
    history: historyView(order).map((event) => ({ ...event, actor: withoutName(event.actor) })),
    as_of: iso(order.now.getTime()),
    source: 'ledger',
  };
}

/** With the names of those who did it: for operators. */
export function historyView(order: OrderView) {
  return order.history.map(({ at_ms, ...event }) => ({ at: iso(at_ms), ...event }));
}

/** Buyers are told that an operator did it, not which one: `operator:<subject>` is often somebody's address. */
function withoutName(actor: string): string {
  const end = actor.indexOf(':');
  return end < 0 ? actor : actor.slice(0, end);
}
