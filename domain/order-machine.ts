/**
 * The life of an order: ONE table. Nothing assigns a state outside it; the ledger holds the same
 * edges in `order_transitions` and refuses every other one.
 */

export const ORDER_STATES = [
  'reserved',
  'authorized',
  'confirmed',
  'shipped',
  'delivered',
  'expired',
  'payment_failed',
  'canceled',
  'refunded',
  'rejected',
] as const;

export type OrderState = (typeof ORDER_STATES)[number];

/** state -> states it may go to. `rejected` is only ever written at ingest, as a first state. */
export const ORDER_EDGES = {
  reserved: ['authorized', 'expired', 'payment_failed', 'canceled'],
  authorized: ['confirmed', 'expired', 'payment_failed', 'canceled'],
  confirmed: ['shipped', 'canceled', 'refunded'],
  shipped: ['delivered', 'refunded'],
  delivered: ['refunded'],
  expired: [],
  payment_failed: [],
  canceled: [],
  refunded: [],
  rejected: [],
} as const satisfies Record<OrderState, readonly OrderState[]>;

/** What an order's units are counted as while it is in a state. */
export const STOCK_OF_STATE = {
  reserved: 'reserved',
  authorized: 'reserved',
  confirmed: 'sold',
  shipped: 'sold',
  delivered: 'sold',
  expired: 'released',
  payment_failed: 'released',
  canceled: 'released',
  // Unless the refund restocks: then the same edge releases. The verb decides.
  refunded: 'sold',
  rejected: 'none',
} as const satisfies Record<OrderState, 'reserved' | 'sold' | 'released' | 'none'>;

/** May an order in `from` become `to`? */
export function canTransition(from: OrderState, to: OrderState): boolean {
  return (ORDER_EDGES[from] as readonly OrderState[]).includes(to);
}

/** States that an order never leaves. */
export function isFinal(state: OrderState): boolean {
  return ORDER_EDGES[state].length === 0;
}
