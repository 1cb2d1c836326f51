/** Where a page of orders ended, as text that means nothing to its reader. It gives access to nothing: the tenant is the caller's. */
import type { OrderPlace } from '../../ledger/orders/list-orders.ts';

const PLACE = /^(\d{1,15})\.(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/;

export function cursorOf({ sale_no, seq, order_id }: OrderPlace): string {
  return Buffer.from(`${sale_no}.${seq}.${order_id}`).toString('base64url');
}

/** Undefined for what never was a cursor. */
export function placeOf(cursor: string): OrderPlace | undefined {
  const match = PLACE.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  return match ? { sale_no: Number(match[1]), seq: Number(match[2]), order_id: match[3] } : undefined;
}
