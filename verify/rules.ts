/**
 * What must hold, written down a second time. Nothing in this folder uses the code that sells, keeps the books or writes
 * certificates: what is said here stands in ARCHITECTURE.md and docs/certificate.md, and is to be compared with those.
 */

/** Where an order's units are while it is in a state; `refunded` depends on whether its units went back on sale. */
export const UNITS: Readonly<Record<string, 'reserved' | 'sold' | 'back' | 'none'>> = {
  reserved: 'reserved',
  authorized: 'reserved',
  confirmed: 'sold',
  shipped: 'sold',
  delivered: 'sold',
  refunded: 'sold',
  expired: 'back',
  payment_failed: 'back',
  canceled: 'back',
  rejected: 'none',
};

export const NEXT: Readonly<Record<string, readonly string[]>> = {
  reserved: ['authorized', 'expired', 'payment_failed', 'canceled'],
  authorized: ['confirmed', 'expired', 'payment_failed', 'canceled'],
  confirmed: ['shipped', 'canceled', 'refunded'],
  shipped: ['delivered', 'refunded'],
  delivered: ['refunded'],
};

/** Whoever has the goods, or is about to get them, has paid or is about to. */
export const WITH_GOODS = ['confirmed', 'shipped', 'delivered'];
export const UNFINISHED = ['pending', 'unknown', 'authorized'];

/** Where units are that belong to an order in `state`. */
export function unitsOf(state: string, restock: boolean): 'reserved' | 'sold' | 'back' | 'none' {
  return state === 'refunded' && restock ? 'back' : (UNITS[state] ?? 'none');
}
