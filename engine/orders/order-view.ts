/** An order as its owner sees it, from the ledger or, before and without that, from its reservation. */
import type { OrderView } from '../../ledger/orders/find-order.ts';
import type { Reservation } from '../checkout/port.ts';
import { iso } from '../reply.ts';

/** The 201 of a checkout. The same for ever: a replay must give it verbatim. */
export function reservationView(reservation: Reservation) {
  const { order_id, sale_id, items, amounts, reserved_at_ms, expires_at_ms } = reservation;
  return {
    order_id,
    sale_id,
    state: 'reserved',
    items,
    amounts,
    reservation: { expires_at: iso(expires_at_ms), server_time: iso(reserved_at_ms) },
  };
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
    payments: [],
    history: [{ at: iso(reserved_at_ms), from: null, to: 'reserved', cause: 'reserved', actor: 'buyer' }],
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
  return {
    order_id: order.order_id,
    sale_id: order.sale,
    state: order.state,
    items: order.items,
    amounts: order.amounts,
    reservation: { expires_at: deadlineOf(order), server_time: iso(order.now.getTime()) },
    payments: order.attempts.map((attempt) => ({
      no: attempt.no,
      psp: attempt.psp,
      type: attempt.method_type,
      amount: attempt.amount,
      currency: attempt.currency,
      state: attempt.state,
      decline_code: attempt.decline_code,
      reversal_wanted: attempt.reversal_wanted,
      created_at: iso(attempt.created_at_ms),
      updated_at: iso(attempt.updated_at_ms),
    })),
    history: order.history.map(({ at_ms, from, to, cause, actor }) => ({
      at: iso(at_ms),
      from,
      to,
      cause,
      actor,
    })),
    as_of: iso(order.now.getTime()),
    source: 'ledger',
  };
}
