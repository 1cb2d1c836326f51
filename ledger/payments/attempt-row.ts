/** An attempt as the verbs return it, with what its order says. */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { Contact } from '../../domain/contact.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { Capture, Road } from '../../domain/types.ts';

export type AttemptRow = {
  id: string;
  order_id: string;
  /** From 1 within the order. */
  no: number;
  psp: string;
  method_type: string;
  token: string;
  /** Minor units of `currency`. */
  amount: number;
  currency: string;
  state: AttemptState;
  reversal_wanted: boolean;
  psp_ref: string | null;
  decline_code: string | null;
  /** What the buyer has to do while the payment is pending (payments/port.ts, NextAction). */
  next_action: { type: 'wait' | 'redirect' | 'upi'; url?: string } | null;
  /** Minor units given back so far. */
  refunded: number;
  /** Number of the present step's key, and since when it is answered with errors, ms ago. */
  key_no: number;
  erred_ms: number | null;
  /** Since when the provider reads nothing under it although its money is wanted back, ms ago. */
  absent_ms: number | null;
  /** How often the present step was tried. */
  tries: number;
  /** Since its row changed, ms, by the ledger's clock. */
  still_ms: number;
  order_state: OrderState;
  road: Road;
  /** Deadline of the order's hold. */
  expires_at: Date;
  /** Of the buyer: some providers take no payment without. Never logged. */
  contact: Contact | null;
  /** The order is reserved and its hold not over: money may still be asked for. */
  payable: boolean;
  /** When its sale's money is taken. */
  sale_capture: Capture;
  /** Once the order is confirmed its money is to be taken: at once, or because its parcel is recorded, or before the authorization lapses. */
  capture_wanted: boolean;
};

/** An authorization is captured this long before it lapses, whether or not there is a parcel. */
export const CAPTURE_AHEAD = `interval '1 day'`;

/** From `attempts a` and `orders o`. */
export const CAPTURE_WANTED = `((SELECT s.capture FROM sales s WHERE s.sale_no = o.sale_no) = 'at_once'
    OR coalesce(a.capture_by <= now() + ${CAPTURE_AHEAD}, false)
    OR EXISTS (SELECT FROM shipments p WHERE p.order_id = o.id)) AS capture_wanted`;

/** Columns of AttemptRow from `attempts a` and `orders o`. */
export const ATTEMPT_COLUMNS = `
  a.id, a.order_id, a.no, a.psp, a.method_type, a.token, a.amount, a.currency, a.state, a.reversal_wanted,
  a.psp_ref, a.decline_code, a.next_action, a.refunded, a.key_no, a.tries,
  (extract(epoch FROM now() - a.updated_at) * 1000)::float8 AS still_ms,
  (extract(epoch FROM now() - a.erred_at) * 1000)::float8 AS erred_ms,
  (extract(epoch FROM now() - a.absent_at) * 1000)::float8 AS absent_ms,
  o.state AS order_state, o.road, o.expires_at, o.contact,
  o.state = 'reserved' AND o.expires_at > (SELECT expiry_horizon()) AS payable,
  (SELECT s.capture FROM sales s WHERE s.sale_no = o.sale_no) AS sale_capture,
  ${CAPTURE_WANTED}`;
