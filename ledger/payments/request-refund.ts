/**
 * An operator wants a part of a captured payment given back. The row and its job (`enqueue`) commit together; the
 * saga carries it out. Asked again under the same key it returns the row that is there. All that is left is no part:
 * then the order becomes `refunded`, by a verb of its own, and its attempt is reversed.
 *
 * LOCK: $1 tenant  $2 order id
 * KNOWN: $1 order id  $2 key
 * PAID: $1 order id
 * INSERT: $1 order id  $2 attempt id  $3 key  $4 amount  $5 reason  $6 actor  $7 ms until the sweep looks
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { REFUND_COLUMNS, type RefundRow } from './refund-row.ts';

const LOCK = {
  name: 'request_refund_lock',
  text: 'SELECT id, state FROM orders WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE',
};

const KNOWN = {
  name: 'request_refund_known',
  text: `SELECT ${REFUND_COLUMNS} FROM refunds r WHERE r.order_id = $1 AND r.key = $2`,
};

const PAID = {
  name: 'request_refund_paid',
  text: `
    SELECT a.id, a.amount - a.refunded AS left, EXISTS (
      SELECT FROM refunds r WHERE r.attempt_id = a.id AND r.state = 'wanted'
    ) AS open
    FROM attempts a WHERE a.order_id = $1 AND a.state = 'captured' AND NOT a.reversal_wanted`,
};

const INSERT = {
  name: 'request_refund_insert',
  text: `
    INSERT INTO refunds AS r (order_id, attempt_id, key, amount, reason, actor, next_look_at)
    VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond')
    RETURNING ${REFUND_COLUMNS}`,
};

export type RefundRequest = {
  tenant: string;
  order_id: string;
  /** The operator's Idempotency-Key. */
  key: string;
  /** Minor units of the order's currency, at least 1. */
  amount: number;
  reason?: string | null;
  /** Such as `admin:<subject>`. */
  actor: string;
};

export type RefundRequested =
  /** `replay`: the refund that this key asked for, whatever has become of it. */
  | { kind: 'requested' | 'replay'; refund: RefundRow }
  /** The key has asked for another amount. */
  | { kind: 'key_reused' }
  | { kind: 'not_found' }
  /** That is all that is left, minor units: refund the order instead. Nothing was written. */
  | { kind: 'all_that_is_left'; left: number }
  | { kind: 'too_much'; left: number }
  /** Another refund of this order is under way: one after another. */
  | { kind: 'in_progress' }
  /** No money was captured that could be given back. */
  | { kind: 'invalid_state'; state: OrderState };

/** The sweep looks after a refund whose job is lost, ms. */
const LOOK_AGAIN_MS = 30_000;

type Enqueue = (tx: Queryable, refund: RefundRow) => Promise<void>;

export function requestRefund(
  pool: Pool,
  request: RefundRequest,
  enqueue: Enqueue,
): Promise<RefundRequested> {
  return withTransaction(pool, (tx) => requestRefundWithin(tx, request, enqueue));
}

/** As a part of a transaction that decides more than this. */
export async function requestRefundWithin(
  tx: Queryable,
  request: RefundRequest,
  enqueue: Enqueue,
): Promise<RefundRequested> {
  const { order_id, key, amount } = request;
  const [order] = await rows<{ id: string; state: OrderState }>(tx, LOCK, [request.tenant, order_id]);
  if (!order) return { kind: 'not_found' };
  const [known] = await rows<RefundRow>(tx, KNOWN, [order_id, key]);
  if (known) return known.amount === amount ? { kind: 'replay', refund: known } : { kind: 'key_reused' };
  const [paid] = await rows<{ id: string; left: number; open: boolean }>(tx, PAID, [order_id]);
  if (!paid || !['confirmed', 'shipped', 'delivered'].includes(order.state)) {
    return { kind: 'invalid_state', state: order.state };
  }
  if (paid.open) return { kind: 'in_progress' };
  if (amount === paid.left) return { kind: 'all_that_is_left', left: paid.left };
  if (amount > paid.left) return { kind: 'too_much', left: paid.left };
  const values = [order_id, paid.id, key, amount, request.reason ?? null, request.actor, LOOK_AGAIN_MS];
  const [refund] = await rows<RefundRow>(tx, INSERT, values);
  await enqueue(tx, refund);
  return { kind: 'requested', refund };
}
