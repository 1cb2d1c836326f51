/** An attempt as the verbs return it, with what its order says. */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { Road } from '../../domain/types.ts';

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
  /** How often the present step was tried. */
  tries: number;
  next_look_at: Date;
  created_at: Date;
  updated_at: Date;
  order_state: OrderState;
  road: Road;
  /** Deadline of the order's hold. */
  expires_at: Date;
  /** The order is reserved and its hold not over: money may still be asked for. */
  payable: boolean;
};

/** Columns of AttemptRow from `attempts a` and `orders o`. */
export const ATTEMPT_COLUMNS = `
  a.id, a.order_id, a.no, a.psp, a.method_type, a.token, a.amount, a.currency, a.state, a.reversal_wanted,
  a.psp_ref, a.decline_code, a.tries, a.next_look_at, a.created_at, a.updated_at,
  o.state AS order_state, o.road, o.expires_at,
  o.state = 'reserved' AND o.expires_at > (SELECT expiry_horizon()) AS payable`;
