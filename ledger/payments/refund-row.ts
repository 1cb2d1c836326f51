/** A part of a captured payment that an operator gives back, as the verbs return it. */
export type RefundRow = {
  id: string;
  order_id: string;
  attempt_id: string;
  /** Minor units. */
  amount: number;
  reason: string | null;
  actor: string;
  /** `refused`: no money moved for it. */
  state: 'wanted' | 'done' | 'refused';
  psp_ref: string | null;
  refusal_code: string | null;
  key_no: number;
  /** How often it was tried. */
  tries: number;
  created_at: Date;
  updated_at: Date;
};

/** Columns of RefundRow from `refunds r`. */
export const REFUND_COLUMNS = `
  r.id, r.order_id, r.attempt_id, r.amount, r.reason, r.actor, r.state, r.psp_ref, r.refusal_code, r.key_no, r.tries,
  r.created_at, r.updated_at`;
