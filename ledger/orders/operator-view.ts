/**
 * What an operator sees of an order besides its owner's view: where it goes, the providers' names of its payments, and
 * what was given back.
 *
 * ORDER, ATTEMPTS, REFUNDS: $1 order id
 */
import type { Capture } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';
import { REFUND_COLUMNS, type RefundRow } from '../payments/refund-row.ts';

const ORDER = {
  name: 'operator_view_order',
  text: `
    SELECT s.capture, o.restock, o.refund_reason FROM orders o JOIN sales s USING (sale_no) WHERE o.id = $1`,
};

const ATTEMPTS = {
  name: 'operator_view_attempts',
  text: 'SELECT id, no, psp_ref, capture_by FROM attempts WHERE order_id = $1 ORDER BY no',
};

const REFUNDS = {
  name: 'operator_view_refunds',
  text: `SELECT ${REFUND_COLUMNS} FROM refunds r WHERE r.order_id = $1 ORDER BY r.created_at, r.id`,
};

export type OperatorDetails = {
  capture: Capture;
  /** Of an order that is refunded. */
  restock: boolean;
  refund_reason: string | null;
  attempts: { id: string; no: number; psp_ref: string | null; capture_by: Date | null }[];
  refunds: RefundRow[];
};

/** The order must be there, and the caller be allowed to see it. */
export async function operatorDetails(db: Queryable, orderId: string): Promise<OperatorDetails> {
  const [[order], attempts, refunds] = await Promise.all([
    rows<Pick<OperatorDetails, 'capture' | 'restock' | 'refund_reason'>>(db, ORDER, [orderId]),
    rows<OperatorDetails['attempts'][number]>(db, ATTEMPTS, [orderId]),
    rows<RefundRow>(db, REFUNDS, [orderId]),
  ]);
  return { ...order, attempts, refunds };
}
