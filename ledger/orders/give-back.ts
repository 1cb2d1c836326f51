/**
 * What a refund and a return share: an order under lock, its money, and the move to `refunded`. All money that is
 * left is wanted back by the table's trigger, and the units go back on sale if `restock` says so, in one statement.
 *
 * LOCK: $1 tenant  $2 order id
 * MONEY: $1 order id
 * GIVE_BACK: $1 order id  $2 states it may be in  $3 restock  $4 reason  $5 cause  $6 actor
 */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';
import { answerRequest, claimRequest, type RequestKind } from '../sales/operator-requests.ts';

const LOCK = {
  name: 'give_back_lock',
  text: `
    SELECT id AS order_id, sale_no, state, total, currency
    FROM orders WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE`,
};

const MONEY = {
  name: 'give_back_money',
  text: `
    SELECT a.id AS attempt_id, a.state, a.amount - a.refunded AS left, a.reversal_wanted, EXISTS (
      SELECT FROM refunds r WHERE r.attempt_id = a.id AND r.state = 'wanted'
    ) AS open
    FROM attempts a
    WHERE a.order_id = $1 AND a.state IN ('pending', 'unknown', 'authorized', 'captured')`,
};

const GIVE_BACK = {
  name: 'give_back',
  text: `
    UPDATE orders SET state = 'refunded', restock = $3, refund_reason = $4, cause = $5, actor = $6, updated_at = now()
    WHERE id = $1 AND state = ANY ($2)
    RETURNING id`,
};

export type LockedOrder = {
  order_id: string;
  sale_no: number;
  state: OrderState;
  /** Minor units. */
  total: number;
  currency: string;
};

/** The attempt that holds the order's money, or may: there is at most one. */
export type OrderMoney = {
  attempt_id: string;
  state: AttemptState;
  /** What it holds or may hold and has not given back, minor units. */
  left: number;
  reversal_wanted: boolean;
  /** A part of it is being given back. */
  open: boolean;
};

/** What an operator was told; kept, and told again to the same key. */
export type GiveBackAnswer = {
  order_id: string;
  state: OrderState;
  /** Name of the part; null: everything that was left. */
  refund_id: string | null;
  amount: number;
  currency: string;
  reason: string | null;
  restock: boolean;
};

export type GivenBack =
  /** `replay`: this key has done it before. */
  | { kind: 'done' | 'replay'; answer: GiveBackAnswer }
  | { kind: 'key_reused' | 'not_found' }
  /** A part is on its way back: one after another. */
  | { kind: 'in_progress'; state: OrderState }
  | { kind: 'invalid_state'; state: OrderState };

/** One request of an operator about one order. */
export type OperatorOrderRequest = {
  tenant: string;
  order_id: string;
  /** Idempotency-Key. */
  key: string;
  /** 16 bytes: method, path and canonical body. */
  fingerprint: Buffer;
  /** Such as `operator:<subject>`. */
  actor: string;
};

export async function lockForOperator(
  tx: Queryable,
  tenant: string,
  orderId: string,
): Promise<LockedOrder | undefined> {
  return (await rows<LockedOrder>(tx, LOCK, [tenant, orderId]))[0];
}

export async function moneyOf(tx: Queryable, orderId: string): Promise<OrderMoney | undefined> {
  return (await rows<OrderMoney>(tx, MONEY, [orderId]))[0];
}

export type GiveBack = {
  kind: RequestKind & ('refund' | 'return');
  from: readonly OrderState[];
  cause: string;
  reason: string | null;
  restock: boolean;
};

/** Everything that is left. `enqueue` gets the attempt that is to be reversed. The order must be locked. */
export async function giveAllBack(
  tx: Queryable,
  request: OperatorOrderRequest,
  order: LockedOrder,
  money: OrderMoney | undefined,
  how: GiveBack,
  enqueue: (tx: Queryable, attemptIds: readonly string[]) => Promise<void>,
): Promise<GivenBack> {
  if (!how.from.includes(order.state)) return { kind: 'invalid_state', state: order.state };
  if (money?.open) return { kind: 'in_progress', state: order.state };
  const { order_id, currency } = order;
  const { reason, restock } = how;
  return onceForKey(tx, request, order, how.kind, async () => {
    const done = await rows(tx, GIVE_BACK, [
      ...[order_id, how.from, restock, reason],
      ...[how.cause, request.actor],
    ]);
    if (done.length !== 1) throw new Error('an order under lock did not become refunded');
    if (money) await enqueue(tx, [money.attempt_id]);
    return {
      ...{ order_id, state: 'refunded', refund_id: null },
      ...{ amount: money?.left ?? 0, currency, reason, restock },
    };
  });
}

/** Claims the key, does it, keeps the answer: all or nothing. Nothing may have been written before. */
export async function onceForKey(
  tx: Queryable,
  request: OperatorOrderRequest,
  order: LockedOrder,
  kind: RequestKind,
  work: () => Promise<GiveBackAnswer>,
): Promise<GivenBack> {
  // Another order of this sale may have taken the key in this very moment.
  const claim = await claimRequest<GiveBackAnswer>(tx, order.sale_no, kind, request);
  if (claim.kind !== 'new') return claim;
  const answer = await work();
  await answerRequest(tx, order.sale_no, request.key, answer);
  return { kind: 'done', answer };
}
