/** What statements share: SQL's habits, and what the triggers of the ledger do (ledger/schema.sql). */
import { canAttemptTransition } from '../../../../domain/attempt-machine.ts';
import type { OrderState } from '../../../../domain/order-machine.ts';
import { canTransition, STOCK_OF_STATE } from '../../../../domain/order-machine.ts';
import type {
  AttemptLedgerRow,
  EventRow,
  HeartbeatRow,
  ItemsRow,
  MovementRow,
  OrderRow,
  RefundLedgerRow,
  SkuRow,
} from '../rows.ts';
import { type Scope, sqlError } from '../store.ts';

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
export const skuKey = (sale_no: number, sku: string): string => `${sale_no}/${sku}`;
export const isHeld = (state: OrderState): boolean => state === 'reserved' || state === 'authorized';

/** expiry_horizon(): nobody expires who is not before this. */
export function expiryHorizon(scope: Scope): number {
  const beat = scope.get<HeartbeatRow>('heartbeat', 1);
  if (!beat) return Number.NEGATIVE_INFINITY;
  const there = beat.beat_at > scope.now_ms - 2 * beat.period_ms;
  return there && beat.up_since + beat.grace_ms <= scope.now_ms ? scope.now_ms : Number.NEGATIVE_INFINITY;
}

/** The order's row under lock; undefined if it is not there (any more). */
export function lockOrder(scope: Scope, id: string): OrderRow | undefined {
  return scope.lock('orders', id) ? scope.get<OrderRow>('orders', id) : undefined;
}

/** Locks those that `due` picks, by id; those that it picks no more once they are locked are left. */
export function lockOrders(
  scope: Scope,
  ids: readonly string[],
  due: (order: OrderRow) => boolean,
): OrderRow[] {
  return [...new Set(ids)].sort(byText).flatMap((id) => {
    const seen = scope.get<OrderRow>('orders', id);
    if (!seen || !due(seen)) return [];
    const order = lockOrder(scope, id);
    return order && due(order) ? [order] : [];
  });
}

export function addEvent(scope: Scope, event: Omit<EventRow, 'id'>): void {
  const id = scope.sequence('order_events');
  scope.insert('order_events', id, { id, ...event });
}

/** How an edge moves units: by domain/order-machine.ts, which the table order_transitions is held against. */
function stockOfEdge(from: OrderState, to: OrderState, restock: boolean) {
  const weigh = (state: OrderState) => ({
    reserved: STOCK_OF_STATE[state] === 'reserved' ? 1 : 0,
    sold: STOCK_OF_STATE[state] === 'sold' ? 1 : 0,
  });
  const [before, after] = [weigh(from), weigh(to)];
  // A refund keeps its units sold unless they go back on sale.
  if (to === 'refunded') Object.assign(after, restock ? { reserved: 0, sold: 0 } : before);
  const reserved = after.reserved - before.reserved;
  const sold = after.sold - before.sold;
  return { reserved, sold, to_available: reserved + sold < 0 ? 1 : 0, from_held: reserved < 0 ? 1 : 0 };
}

export type OrderChange = Partial<OrderRow> & { state: OrderState; cause: string; actor: string };

/** UPDATE orders with its trigger orders_updated: all of one statement. Rows must be locked. */
export function updateOrders(
  scope: Scope,
  orders: readonly OrderRow[],
  change: (order: OrderRow) => OrderChange,
): void {
  const moved = orders.map((before) => {
    const after = { ...before, ...change(before), updated_at: scope.now_ms };
    scope.put('orders', before.id, after);
    return { before, after };
  });
  const changed = moved.filter(({ before, after }) => before.state !== after.state);
  changed.sort((a, b) => byText(a.after.id, b.after.id));
  for (const { before, after } of changed) {
    if (!canTransition(before.state, after.state)) {
      const what = `order ${after.id} may not go from ${before.state} to ${after.state}`;
      throw sqlError('23514', what, 'order_transitions');
    }
    const { id: order_id, cause, actor } = after;
    addEvent(scope, { order_id, from_state: before.state, to_state: after.state, cause, actor });
  }
  const sums = new Map<string, { sale_no: number; sku: string; reserved: number; sold: number }>();
  for (const { before, after } of changed) {
    const edge = stockOfEdge(before.state, after.state, after.restock);
    if (edge.to_available > 0 || after.state === 'refunded') wantMoneyBack(scope, after.id);
    if (!edge.reserved && !edge.sold && !edge.to_available && !edge.from_held) continue;
    for (const item of scope.get<ItemsRow>('order_items', after.id)?.items ?? []) {
      const units = item.line === 1 ? after.limit_units * edge.to_available : 0;
      addMovement(scope, {
        ...{ sale_no: after.sale_no, order_id: after.id, sku: item.sku, cause: 'released' },
        ...{ to_available: item.qty * edge.to_available, from_held: item.qty * edge.from_held },
        ...{ buyer_hash: units > 0 ? after.buyer_hash : null, buyer_units: units },
      });
      const key = skuKey(after.sale_no, item.sku);
      const sum = sums.get(key) ?? { sale_no: after.sale_no, sku: item.sku, reserved: 0, sold: 0 };
      sum.reserved += item.qty * edge.reserved;
      sum.sold += item.qty * edge.sold;
      sums.set(key, sum);
    }
  }
  for (const [key, sum] of [...sums].sort(([a], [b]) => byText(a, b))) {
    scope.lock('skus', key);
    const sku = scope.get<SkuRow>('skus', key);
    if (sku) putSku(scope, { ...sku, reserved: sku.reserved + sum.reserved, sold: sku.sold + sum.sold });
  }
}

export function addMovement(scope: Scope, movement: Omit<MovementRow, 'id' | 'n'>): void {
  const id = scope.sequence('movements');
  scope.insert('movements', id, { id, n: null, ...movement });
}

/** With the table's CHECK. */
export function putSku(scope: Scope, sku: SkuRow): void {
  if (sku.reserved < 0 || sku.sold < 0 || sku.reserved + sku.sold > sku.total) {
    throw sqlError('23514', `stock of ${sku.sku}`, 'stock_is_never_oversold');
  }
  scope.put('skus', skuKey(sku.sale_no, sku.sku), sku);
}

const LIVE = ['pending', 'unknown', 'authorized', 'captured'];

function wantMoneyBack(scope: Scope, order_id: string): void {
  for (const attempt of attemptsOf(scope, order_id)) {
    if (!LIVE.includes(attempt.state) || attempt.reversal_wanted) continue;
    scope.lock('attempts', attempt.id);
    updateAttempt(scope, attempt, {
      reversal_wanted: true,
      next_look_at: scope.now_ms,
      updated_at: scope.now_ms,
    });
  }
}

export function attemptsOf(scope: Scope, order_id: string): AttemptLedgerRow[] {
  return scope
    .all<AttemptLedgerRow>('attempts')
    .filter((attempt) => attempt.order_id === order_id)
    .sort((a, b) => a.no - b.no);
}

/** UPDATE of one attempt with its trigger attempts_changed, and the rule of one live attempt an order. */
export function updateAttempt(
  scope: Scope,
  before: AttemptLedgerRow,
  change: Partial<AttemptLedgerRow>,
): AttemptLedgerRow {
  const after = { ...before, ...change };
  scope.put('attempts', before.id, after);
  if (before.reversal_wanted && !after.reversal_wanted) {
    throw sqlError('23514', `attempt ${before.id}: a reversal stays wanted`);
  }
  if (after.refunded < 0 || after.refunded > after.amount) throw sqlError('23514', 'attempts_check');
  if (before.state === after.state) return after;
  if (!canAttemptTransition(before.state, after.state)) {
    const what = `an attempt of order ${before.order_id} may not go from ${before.state} to ${after.state}`;
    throw sqlError('23514', what, 'attempt_transitions');
  }
  if (['captured', 'declined', 'voided', 'refunded'].includes(after.state)) {
    const state = scope.get<OrderRow>('orders', after.order_id)?.state;
    if (state) {
      const cause = `payment_${after.state}`;
      addEvent(scope, { order_id: after.order_id, from_state: state, to_state: state, cause, actor: 'psp' });
    }
  }
  return after;
}

/** The unique index of live attempts: asked before one is inserted. */
export function hasLiveAttempt(scope: Scope, order_id: string): boolean {
  return attemptsOf(scope, order_id).some(({ state }) => LIVE.includes(state));
}

export function updateRefund(scope: Scope, before: RefundLedgerRow, change: Partial<RefundLedgerRow>): void {
  const after = { ...before, ...change };
  scope.put('refunds', before.id, after);
  if (before.state === after.state) return;
  if (before.state !== 'wanted') throw sqlError('23514', `refund ${before.id}`, 'refund_transitions');
  const state = scope.get<OrderRow>('orders', before.order_id)?.state;
  const cause = after.state === 'done' ? 'partially_refunded' : 'refund_refused';
  if (state)
    addEvent(scope, {
      order_id: before.order_id,
      from_state: state,
      to_state: state,
      cause,
      actor: before.actor,
    });
}
