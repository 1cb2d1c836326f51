/**
 * The stepwise road: a buyer starts paying a reserved order. The attempt row and whatever `enqueue` adds
 * commit together. Extends the hold, once in an order's life and by a bounded time.
 *
 * LOCK: $1 tenant  $2 order id  $3 buyer
 * INSERT: $1 order id  $2 no  $3 PSP  $4 method type  $5 token  $6 amount  $7 currency  $8 ms until the sweep looks
 *   $9 attempt id or null
 * EXTEND: $1 order id  $2 extension, ms (never more than the sale's own hold)
 */
import { ATTEMPTS_MAX } from '../../domain/limits.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import type { Capture, PaymentMethod } from '../../domain/types.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import type { AttemptRow } from './attempt-row.ts';
import { attemptsById, attemptsOfOrders } from './find-attempts.ts';

const LOCK = {
  name: 'start_payment_lock',
  text: `
    SELECT o.state, o.total, o.currency, o.expires_at <= expiry_horizon() AS over, s.psp, s.capture
    FROM orders o JOIN sales s USING (sale_no)
    WHERE o.tenant = $1 AND o.id = $2 AND o.buyer = $3 FOR NO KEY UPDATE OF o`,
};

const INSERT = {
  name: 'start_payment_insert',
  text: `
    INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, next_look_at, id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 millisecond', coalesce($9, gen_random_uuid()))`,
};

const EXTEND = {
  name: 'start_payment_extend',
  text: `
    UPDATE orders o SET extended = true, updated_at = now(),
      expires_at = greatest(o.expires_at, now() + least($2::bigint, s.hold_ms) * interval '1 millisecond')
    FROM sales s WHERE o.id = $1 AND s.sale_no = o.sale_no AND NOT o.extended`,
};

const EXPIRES_AT = { name: 'expires_at', text: 'SELECT expires_at FROM orders WHERE id = $1' };

export type StartPayment = {
  tenant: string;
  buyer: string;
  order_id: string;
  /** Made from the buyer's Idempotency-Key, so that a retry finds its attempt. Absent: a random one. */
  attempt_id?: string;
  /** Where sales without a provider of their own are paid. */
  psp: string;
  payment_method: PaymentMethod;
  /** Time a payment may take after it was started, ms. */
  extension_ms: number;
  /** When the sweep is to look at the attempt if nothing else happens, ms. */
  look_again_ms: number;
  /** Why the provider can't be paid like that; undefined if it can. Absent: nobody asks. */
  refusal?: (terms: AttemptTerms) => string | undefined;
};

type LockedOrder = {
  state: OrderState;
  total: number;
  currency: string;
  over: boolean;
  /** The sale's own provider. */
  psp: string | null;
  capture: Capture;
};

/** What a payment would be made of. */
export type AttemptTerms = {
  psp: string;
  currency: string;
  capture: Capture;
  method: PaymentMethod['type'];
};

export type StartedPayment =
  /**
   * `in_progress`: an earlier attempt is still open, or has secured the money; it is returned.
   * `replay`: the attempt with this id, whatever has become of it.
   */
  | { kind: 'started' | 'in_progress' | 'replay'; attempt: AttemptRow; expires_at: Date }
  /** The attempt with this id is another request's. */
  | { kind: 'key_reused' }
  | { kind: 'not_found' }
  | { kind: 'over' }
  | { kind: 'invalid_state'; state: OrderState }
  | { kind: 'attempts_used_up' }
  /** Nothing was begun, and no try used up. */
  | { kind: 'not_supported'; reason: string };

export function startPayment(
  pool: Pool,
  request: StartPayment,
  enqueue: (tx: Queryable, attempt: AttemptRow) => Promise<void>,
): Promise<StartedPayment> {
  return withTransaction(pool, async (tx) => {
    const { tenant, buyer, order_id } = request;
    const [order] = await rows<LockedOrder>(tx, LOCK, [tenant, order_id, buyer]);
    if (!order) return { kind: 'not_found' };
    const [known] = request.attempt_id ? await attemptsById(tx, [request.attempt_id]) : [];
    if (known) {
      if (!isSameRequest(known, request)) return { kind: 'key_reused' };
      return { kind: 'replay', attempt: known, expires_at: await expiresAt(tx, order_id) };
    }
    const attempts = await attemptsOfOrders(tx, [order_id]);
    const live = attempts.find((a) => ['pending', 'unknown', 'authorized', 'captured'].includes(a.state));
    if (order.state === 'reserved' && order.over) return { kind: 'over' };
    if (order.state === 'expired') return { kind: 'over' };
    if (order.state !== 'reserved' && !(order.state === 'authorized' && live)) {
      return { kind: 'invalid_state', state: order.state };
    }
    if (live) return { kind: 'in_progress', attempt: live, expires_at: await expiresAt(tx, order_id) };
    if (attempts.length >= ATTEMPTS_MAX) return { kind: 'attempts_used_up' };

    const { type, token } = request.payment_method;
    const psp = order.psp ?? request.psp;
    const { currency, capture } = order;
    const reason = request.refusal?.({ psp, currency, capture, method: type });
    if (reason !== undefined) return { kind: 'not_supported', reason };
    const no = attempts.length + 1;
    const values = [order_id, no, psp, type, token, order.total, order.currency];
    await rows(tx, INSERT, [...values, request.look_again_ms, request.attempt_id ?? null]);
    await rows(tx, EXTEND, [order_id, request.extension_ms]);
    const attempt = (await attemptsOfOrders(tx, [order_id])).find((a) => a.no === no);
    if (!attempt) throw new Error('the attempt just inserted is not there');
    await enqueue(tx, attempt);
    return { kind: 'started', attempt, expires_at: await expiresAt(tx, order_id) };
  });
}

function isSameRequest(attempt: AttemptRow, request: StartPayment): boolean {
  const { order_id, payment_method } = request;
  return (
    attempt.order_id === order_id &&
    attempt.method_type === payment_method.type &&
    attempt.token === payment_method.token
  );
}

async function expiresAt(tx: Queryable, order_id: string): Promise<Date> {
  const [row] = await rows<{ expires_at: Date }>(tx, EXPIRES_AT, [order_id]);
  return row.expires_at;
}
