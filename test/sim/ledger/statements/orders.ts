/** Statements of ledger/orders and ledger/sales. Names and parameters are theirs. */
import { EXPIRED_HOLDS_PAUSE_MS } from '../../../../domain/limits.ts';
import type { OrderState } from '../../../../domain/order-machine.ts';
import type { Gate } from '../../../../domain/types.ts';
import type { ExpiredHoldsRow, OrderRow, RequestRow, SaleRow, ShipmentRow, SkuRow } from '../rows.ts';
import type { Statement } from '../server.ts';
import type { Scope } from '../store.ts';
import {
  addMovement,
  attemptsOf,
  byText,
  expiryHorizon,
  isHeld,
  lockOrder,
  lockOrders,
  putSku,
  skuKey,
  updateOrders,
} from './parts.ts';

const ids = (orders: readonly OrderRow[]) => orders.map(({ id }) => ({ id }));

/** ...Of a buyer: under lock, and whether the hold is over. */
const lockOfBuyer: Statement = (scope, [tenant, id, buyer]: readonly string[]) => {
  const seen = scope.get<OrderRow>('orders', id);
  if (seen?.tenant !== tenant || seen.buyer !== buyer) return [];
  const order = lockOrder(scope, id);
  if (!order) return [];
  return [{ state: order.state, over: isHeld(order.state) && order.expires_at <= expiryHorizon(scope) }];
};

/** The hold that ran out is counted where it was the buyer's turn. */
function countHolds(scope: Scope, expired: readonly OrderRow[]): void {
  const counts = new Map<string, { order: OrderRow; holds: number }>();
  for (const order of expired) {
    const attempts = attemptsOf(scope, order.id);
    const waits = (type: string | undefined) => (type ?? 'wait') === 'wait';
    const counted =
      order.road === 'lock'
        ? !attempts.some(
            (a) => a.state === 'unknown' || (a.state === 'pending' && waits(a.next_action?.type)),
          )
        : attempts.some(
            (a) => a.state === 'pending' && a.next_action !== null && a.next_action.type !== 'wait',
          );
    if (!counted) continue;
    const key = `${order.sale_no}/${order.buyer_hash.toString('hex')}`;
    const count = counts.get(key) ?? { order, holds: 0 };
    count.holds += 1;
    counts.set(key, count);
  }
  for (const [key, { order, holds }] of [...counts].sort(([a], [b]) => byText(a, b))) {
    const { sale_no, buyer_hash } = order;
    const fresh: ExpiredHoldsRow = { sale_no, buyer_hash, holds, last_at: scope.now_ms };
    if (scope.insert('expired_holds', key, fresh)) continue;
    scope.lock('expired_holds', key);
    const known = scope.get<ExpiredHoldsRow>('expired_holds', key);
    const before = known && known.last_at > scope.now_ms - EXPIRED_HOLDS_PAUSE_MS ? known.holds : 0;
    scope.put('expired_holds', key, { ...fresh, holds: holds + before });
  }
}

const orders: Record<string, Statement> = {
  expire_due: (scope, [limit]: readonly number[]) => {
    const horizon = expiryHorizon(scope);
    const due = scope
      .all<OrderRow>('orders')
      .filter((o) => isHeld(o.state) && o.expires_at <= horizon && !scope.locked('orders', o.id))
      .sort((a, b) => a.expires_at - b.expires_at)
      .slice(0, limit);
    for (const order of due) scope.lock('orders', order.id);
    // The snapshot of the statement: the attempts as they are before the orders' trigger runs.
    updateOrders(scope, due, () => ({ state: 'expired', cause: 'deadline', actor: 'reconciler' }));
    countHolds(scope, due);
    return ids(due);
  },
  cancel_order_lock: lockOfBuyer,
  cancel_order: (scope, [id, cause, actor]: readonly string[]) => {
    const open = (o: OrderRow) =>
      ['reserved', 'authorized', 'confirmed'].includes(o.state) && !scope.get<ShipmentRow>('shipments', o.id);
    const due = lockOrders(scope, [id], open);
    updateOrders(scope, due, () => ({ state: 'canceled', cause, actor }));
    return ids(due);
  },
  confirm_order_lock: lockOfBuyer,
  confirm_orders: (scope, [wanted, cause, actor]: readonly [string[], string, string]) => {
    const horizon = expiryHorizon(scope);
    const due = lockOrders(scope, wanted, (o) => o.state === 'authorized' && o.expires_at > horizon);
    updateOrders(scope, due, () => ({ state: 'confirmed', cause, actor }));
    return ids(due);
  },
  fail_orders: (scope, [wanted, cause, actor]: readonly [string[], string, string]) => {
    const due = lockOrders(scope, wanted, (o) => isHeld(o.state));
    updateOrders(scope, due, () => ({ state: 'payment_failed', cause, actor }));
    return ids(due);
  },
  give_back_lock: (scope, [tenant, id]: readonly string[]) => {
    if (scope.get<OrderRow>('orders', id)?.tenant !== tenant) return [];
    const order = lockOrder(scope, id);
    if (!order) return [];
    const { sale_no, state, total, currency } = order;
    return [{ order_id: id, sale_no, state, total, currency }];
  },
  give_back: (scope, values: readonly unknown[]) => {
    const [id, from, restock, , cause, actor] = values as [
      string,
      OrderState[],
      boolean,
      unknown,
      string,
      string,
    ];
    const due = lockOrders(scope, [id], (o) => from.includes(o.state));
    updateOrders(scope, due, () => ({ state: 'refunded', restock, cause, actor }));
    return ids(due);
  },
  deliver_order: (scope, [tenant, id, actor]: readonly string[]) => {
    if (scope.get<OrderRow>('orders', id)?.tenant !== tenant) return [];
    const order = lockOrder(scope, id);
    if (!order) return [];
    const done = order.state === 'shipped';
    if (done) updateOrders(scope, [order], () => ({ state: 'delivered', cause: 'delivered', actor }));
    return [{ state: order.state, done }];
  },
};

const bySale = (scope: Scope, tenant: string, id: string) =>
  scope.all<SaleRow>('sales').find((sale) => sale.tenant === tenant && sale.id === id);

const sales: Record<string, Statement> = {
  sale_no: (scope, [tenant, id]: readonly string[]) => {
    const sale = bySale(scope, tenant, id);
    return sale ? [{ sale_no: sale.sale_no }] : [];
  },
  set_gate_lock: (scope, [tenant, id]: readonly string[]) => {
    const seen = bySale(scope, tenant, id);
    if (!seen) return [];
    scope.lock('sales', seen.sale_no);
    const sale = scope.get<SaleRow>('sales', seen.sale_no);
    if (!sale) return [];
    const { sale_no, gate, gate_version, opens_at } = sale;
    return [{ sale_no, gate, gate_version, ahead: opens_at === 0 ? null : opens_at > scope.now_ms }];
  },
  set_gate: (scope, [no, gate]: readonly [number, Gate]) => {
    scope.lock('sales', no);
    const sale = scope.get<SaleRow>('sales', no);
    if (!sale) return [];
    const gate_version = sale.gate_version + 1;
    scope.put('sales', no, { ...sale, gate, gate_version });
    return [{ gate_version }];
  },
  topup: (scope, [no, skus, qtys]: readonly [number, string[], number[]]) => {
    const added = skus.flatMap((sku, i) => {
      const row = scope.lock('skus', skuKey(no, sku)) && scope.get<SkuRow>('skus', skuKey(no, sku));
      if (!row) return [];
      const total = row.total + qtys[i];
      putSku(scope, { ...row, total });
      addMovement(scope, {
        ...{ sale_no: no, order_id: null, sku, to_available: qtys[i], from_held: 0, cause: 'topup' },
        ...{ buyer_hash: null, buyer_units: 0 },
      });
      return [{ sku, qty: qtys[i], total }];
    });
    return added.sort((a, b) => byText(a.sku, b.sku));
  },
  claim_request: (scope, values: readonly unknown[]) => {
    const [sale_no, key, kind, fingerprint] = values as [number, string, string, Buffer];
    const row: RequestRow = { sale_no, key, kind, fingerprint, answer: null, created_at: scope.now_ms };
    return scope.insert('operator_requests', `${sale_no}/${key}`, row) ? 1 : 0;
  },
  known_request: (scope, [no, key]: readonly [number, string]) => {
    const row = scope.get<RequestRow>('operator_requests', `${no}/${key}`);
    return row ? [row] : [];
  },
  answered_requests: (scope, [no, keys]: readonly [number, string[]]) =>
    keys
      .filter((key) => (scope.get<RequestRow>('operator_requests', `${no}/${key}`)?.answer ?? null) !== null)
      .map((key) => ({ key })),
  answer_requests: (scope, [no, keys, answers]: readonly [number, string[], string[]]) => {
    let changed = 0;
    keys.forEach((key, i) => {
      const at = `${no}/${key}`;
      const seen = scope.get<RequestRow>('operator_requests', at);
      if (!seen || seen.answer !== null || !scope.lock('operator_requests', at)) return;
      scope.put('operator_requests', at, { ...seen, answer: JSON.parse(answers[i]) });
      changed += 1;
    });
    return changed;
  },
};

export const orderStatements = { ...orders, ...sales };
