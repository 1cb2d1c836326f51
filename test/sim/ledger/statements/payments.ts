/** Statements of ledger/payments. Names and parameters are theirs. */
import { createHash } from 'node:crypto';
import type { AttemptState } from '../../../../domain/attempt-machine.ts';
import { canAttemptTransition } from '../../../../domain/attempt-machine.ts';
import type {
  AttemptLedgerRow,
  OrderRow,
  PspEventLedgerRow,
  RefundLedgerRow,
  SaleRow,
  ShipmentRow,
} from '../rows.ts';
import type { Statement } from '../server.ts';
import { type Scope, sqlError } from '../store.ts';
import {
  addEvent,
  attemptsOf,
  byText,
  expiryHorizon,
  hasLiveAttempt,
  lockOrder,
  lockOrders,
  updateAttempt,
  updateOrders,
  updateRefund,
} from './parts.ts';

const CAPTURE_AHEAD_MS = 86_400_000;
const since = (scope: Scope, at: number | null) => (at === null ? null : scope.now_ms - at);
const isUnfinished = (a: AttemptLedgerRow) =>
  ['pending', 'unknown', 'authorized'].includes(a.state) || (a.state === 'captured' && a.reversal_wanted);

function captureWanted(scope: Scope, attempt: AttemptLedgerRow, order: OrderRow): boolean {
  const sale = scope.get<SaleRow>('sales', order.sale_no);
  const lapses = attempt.capture_by !== null && attempt.capture_by <= scope.now_ms + CAPTURE_AHEAD_MS;
  return sale?.capture === 'at_once' || lapses || scope.get('shipments', order.id) !== undefined;
}

/** ATTEMPT_COLUMNS */
function view(scope: Scope, attempt: AttemptLedgerRow): object[] {
  const order = scope.get<OrderRow>('orders', attempt.order_id);
  if (!order) return [];
  const { id, order_id, no, psp, method_type, token, amount, currency, state, reversal_wanted } = attempt;
  const { psp_ref, decline_code, next_action, refunded, key_no, tries } = attempt;
  return [
    {
      ...{ id, order_id, no, psp, method_type, token, amount, currency, state, reversal_wanted },
      ...{ psp_ref, decline_code, next_action, refunded, key_no, tries },
      still_ms: scope.now_ms - attempt.updated_at,
      erred_ms: since(scope, attempt.erred_at),
      absent_ms: since(scope, attempt.absent_at),
      ...{ order_state: order.state, road: order.road, contact: order.contact },
      expires_at: new Date(order.expires_at),
      payable: order.state === 'reserved' && order.expires_at > expiryHorizon(scope),
      sale_capture: scope.get<SaleRow>('sales', order.sale_no)?.capture,
      capture_wanted: captureWanted(scope, attempt, order),
    },
  ];
}

const attempt = (scope: Scope, id: string) => scope.get<AttemptLedgerRow>('attempts', id);
const found = (scope: Scope, ids: readonly string[]) =>
  [...new Set(ids)].flatMap((id) => {
    const row = attempt(scope, id);
    return row ? [row] : [];
  });

function newAttempt(
  scope: Scope,
  made: Pick<
    AttemptLedgerRow,
    'id' | 'order_id' | 'no' | 'psp' | 'method_type' | 'token' | 'amount' | 'currency'
  >,
  look_again_ms: number,
): AttemptLedgerRow {
  return {
    ...made,
    ...{ state: 'pending', reversal_wanted: false, psp_ref: null, decline_code: null, tries: 0 },
    ...{ next_action: null, key_no: 1, capture_by: null, refunded: 0, erred_at: null, absent_at: null },
    ...{ created_at: scope.now_ms, updated_at: scope.now_ms, next_look_at: scope.now_ms + look_again_ms },
  };
}

/** md5('attempt 1 of ' || id)::uuid */
function firstAttemptId(order_id: string): string {
  const hex = createHash('md5').update(`attempt 1 of ${order_id}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

type News = {
  id: string;
  state: AttemptState;
  psp_ref: string | null;
  decline_code: string | null;
  look_again_ms: number;
  next_action: string | null;
  capture_within_ms: number | null;
  key_no: number | null;
  answered: boolean;
  absent: boolean;
};

/** The SET of settle_attempts. */
function settled(scope: Scope, a: AttemptLedgerRow, news: News): Partial<AttemptLedgerRow> {
  const now = scope.now_ms;
  const goes_on = news.state === a.state || news.state === 'unknown';
  const look_at = now + news.look_again_ms;
  const stays =
    a.state === 'pending' &&
    news.state === 'authorized' &&
    a.next_look_at >= now + news.look_again_ms / 2 &&
    a.next_look_at <= look_at;
  let erred_at: number | null = null;
  if (news.key_no !== null && news.key_no > a.key_no) erred_at = news.answered ? now : null;
  else if (news.answered) erred_at = a.erred_at ?? now;
  else if (goes_on) erred_at = a.erred_at;
  const given = news.next_action === null ? null : JSON.parse(news.next_action);
  return {
    state: news.state,
    psp_ref: news.psp_ref ?? a.psp_ref,
    decline_code: news.decline_code ?? a.decline_code,
    next_action:
      news.state === 'pending' ? (given ?? a.next_action) : news.state === 'unknown' ? a.next_action : null,
    refunded: news.state === 'refunded' ? a.amount : a.refunded,
    capture_by: a.capture_by ?? (news.capture_within_ms === null ? null : now + news.capture_within_ms),
    key_no: goes_on ? Math.max(a.key_no, news.key_no ?? 0) : 1,
    erred_at,
    absent_at: news.absent ? (a.absent_at ?? now) : goes_on ? a.absent_at : null,
    tries: a.state === news.state ? a.tries + 1 : 0,
    next_look_at: stays ? a.next_look_at : look_at,
    updated_at: now,
  };
}

const attempts: Record<string, Statement> = {
  attempts_by_id: (scope, [ids]: readonly (readonly string[])[]) =>
    found(scope, ids).flatMap((row) => view(scope, row)),
  attempts_of_orders: (scope, [ids]: readonly (readonly string[])[]) =>
    [...new Set(ids)].sort(byText).flatMap((id) => attemptsOf(scope, id).flatMap((row) => view(scope, row))),
  record_attempts: (scope, [ids, psp, look_again_ms]: readonly [string[], string, number]) => {
    const horizon = expiryHorizon(scope);
    // The statement's snapshot: what was open before this began.
    const open = [...new Set(ids)].flatMap((id) =>
      attemptsOf(scope, id).filter(({ state }) => state === 'pending' || state === 'unknown'),
    );
    const payable = lockOrders(
      scope,
      ids,
      (o) => o.state === 'reserved' && o.payment_method !== null && o.expires_at > horizon,
    );
    const made = payable.flatMap((order) => {
      if (attemptsOf(scope, order.id).some(({ no }) => no === 1)) return [];
      const { type: method_type, token } = order.payment_method ?? { type: 'card', token: '' };
      const own = scope.get<SaleRow>('sales', order.sale_no)?.psp;
      const terms = { amount: order.total, currency: order.currency, method_type, token };
      const row = newAttempt(
        scope,
        { id: firstAttemptId(order.id), order_id: order.id, no: 1, psp: own ?? psp, ...terms },
        look_again_ms,
      );
      scope.insert('attempts', row.id, row);
      return [row];
    });
    const all = [...made.map((row) => ({ row, made: true })), ...open.map((row) => ({ row, made: false }))];
    all.sort((a, b) => byText(a.row.order_id, b.row.order_id));
    return all.flatMap(({ row, made: is_made }) =>
      view(scope, row).map((seen) => ({ ...seen, made: is_made })),
    );
  },
  lock_orders_of_attempts: (scope, [ids]: readonly (readonly string[])[]) => {
    const orders = found(scope, ids).map(({ order_id }) => order_id);
    return lockOrders(scope, orders, () => true).map(({ id }) => ({ id }));
  },
  settle_attempts: (scope, columns: readonly unknown[][]) => {
    const news = columns[0].map((_id, i) => {
      const row = columns.map((column) => column[i]);
      const [id, state, psp_ref, decline_code, look_again_ms, next_action, capture_within_ms, key_no, ...is] =
        row;
      const [answered, absent] = is;
      return {
        ...{ id, state, psp_ref, decline_code, look_again_ms, next_action, capture_within_ms, key_no },
        ...{ answered, absent },
      } as News;
    });
    return news.flatMap((item) => {
      if (!scope.lock('attempts', item.id)) return [];
      const before = attempt(scope, item.id);
      if (!before || !(before.state === item.state || canAttemptTransition(before.state, item.state)))
        return [];
      const after = updateAttempt(scope, before, settled(scope, before, item));
      const order = scope.get<OrderRow>('orders', after.order_id);
      if (!order) return [];
      const { id, order_id, state, reversal_wanted } = after;
      return [
        {
          ...{ id, order_id, state, reversal_wanted, order_state: order.state, road: order.road },
          capture_wanted: captureWanted(scope, after, order),
        },
      ];
    });
  },
  settle_authorize_orders: (scope, [ids, actor]: readonly [string[], string]) => {
    const horizon = expiryHorizon(scope);
    const due = lockOrders(scope, ids, (o) => o.state === 'reserved' && o.expires_at > horizon);
    updateOrders(scope, due, () => ({ state: 'authorized', cause: 'payment_authorized', actor }));
    return due.map(({ id }) => ({ id }));
  },
  settle_confirm_orders: (scope, [ids]: readonly [string[]]) => {
    const horizon = expiryHorizon(scope);
    const due = lockOrders(scope, ids, (o) => o.state === 'authorized' && o.expires_at > horizon);
    updateOrders(scope, due, () => ({ state: 'confirmed', cause: 'checkout', actor: 'saga' }));
    return due.map(({ id }) => ({ id }));
  },
  ship_orders: (scope, [ids]: readonly [string[]]) => {
    const due = lockOrders(scope, ids, (order) => {
      const paid = attemptsOf(scope, order.id).some((a) => a.state === 'captured' && !a.reversal_wanted);
      const recorded = scope.get('shipments', order.id) !== undefined;
      return recorded && order.state === 'confirmed' && (order.total === 0 || paid);
    });
    updateOrders(scope, due, (order) => ({
      ...{ state: 'shipped', cause: 'shipped' },
      actor: scope.get<ShipmentRow>('shipments', order.id)?.actor ?? '',
    }));
    return due.map(({ id }) => ({ id }));
  },
  claim_attempts: (scope, [limit, lease_ms]: readonly number[]) => {
    const due = scope
      .all<AttemptLedgerRow>('attempts')
      .filter((a) => a.next_look_at <= scope.now_ms && isUnfinished(a) && !scope.locked('attempts', a.id))
      .sort((a, b) => a.next_look_at - b.next_look_at)
      .slice(0, limit);
    return due.flatMap((a) => {
      scope.lock('attempts', a.id);
      const order = scope.get<OrderRow>('orders', a.order_id);
      const rests =
        a.state === 'authorized' &&
        !a.reversal_wanted &&
        order?.state === 'confirmed' &&
        scope.get<SaleRow>('sales', order.sale_no)?.capture === 'on_shipment' &&
        scope.get('shipments', order.id) === undefined &&
        a.capture_by !== null;
      const until = rests ? (a.capture_by ?? 0) - CAPTURE_AHEAD_MS : 0;
      return view(scope, updateAttempt(scope, a, { next_look_at: Math.max(scope.now_ms + lease_ms, until) }));
    });
  },
  store_references: (scope, [ids, references]: readonly [string[], string[]]) => {
    const horizon = expiryHorizon(scope);
    const made = new Map(ids.map((id, i) => [id, references[i]]));
    const orders = found(scope, ids).map(({ order_id }) => order_id);
    const payable = new Set(
      lockOrders(scope, orders, (o) => o.state === 'reserved' && o.expires_at > horizon).map(({ id }) => id),
    );
    return ids.flatMap((id) => {
      if (!scope.lock('attempts', id)) return [];
      const a = attempt(scope, id);
      const psp_ref = made.get(id) ?? '';
      const open = a && (a.state === 'pending' || a.state === 'unknown') && !a.reversal_wanted;
      if (!a || !open || !payable.has(a.order_id) || (a.psp_ref ?? psp_ref) !== psp_ref) return [];
      updateAttempt(scope, a, { psp_ref, updated_at: scope.now_ms });
      return [{ id }];
    });
  },
  unbegun_orders: (scope, [limit, still_ms]: readonly number[]) => {
    const horizon = expiryHorizon(scope);
    return scope
      .all<OrderRow>('orders')
      .filter(
        (o) =>
          o.state === 'reserved' &&
          o.road === 'checkout' &&
          o.updated_at < scope.now_ms - still_ms &&
          o.expires_at > horizon &&
          attemptsOf(scope, o.id).length === 0,
      )
      .slice(0, limit)
      .map(({ id }) => ({ id }));
  },
  give_back_money: (scope, [id]: readonly string[]) =>
    attemptsOf(scope, id)
      .filter((a) => isUnfinished(a) || a.state === 'captured')
      .map((a) => ({
        ...{
          attempt_id: a.id,
          state: a.state,
          left: a.amount - a.refunded,
          reversal_wanted: a.reversal_wanted,
        },
        open: openRefunds(scope, a.id).length > 0,
      })),
};

const stepwise: Record<string, Statement> = {
  start_payment_lock: (scope, [tenant, id, buyer]: readonly string[]) => {
    const seen = scope.get<OrderRow>('orders', id);
    if (seen?.tenant !== tenant || seen.buyer !== buyer) return [];
    const order = lockOrder(scope, id);
    if (!order) return [];
    const sale = scope.get<SaleRow>('sales', order.sale_no);
    const { state, total, currency } = order;
    const over = order.expires_at <= expiryHorizon(scope);
    return [{ state, total, currency, over, psp: sale?.psp, capture: sale?.capture }];
  },
  start_payment_insert: (scope, values: readonly unknown[]) => {
    const [order_id, no, psp, method_type, token, amount, currency, look_again_ms, id] = values as [
      ...[string, number, string, string, string, number, string, number, string | null],
    ];
    if (hasLiveAttempt(scope, order_id)) throw sqlError('23505', 'one live attempt', 'attempts_one_live');
    const made = { order_id, no, psp, method_type, token, amount, currency, id: id ?? scope.uuid() };
    if (!scope.insert('attempts', made.id, newAttempt(scope, made, look_again_ms)))
      throw sqlError('23505', 'attempt', 'attempts_pkey');
    return 1;
  },
  start_payment_extend: (scope, [id, extension_ms]: readonly [string, number]) => {
    const order = lockOrder(scope, id);
    if (!order || order.extended) return 0;
    const hold_ms = scope.get<SaleRow>('sales', order.sale_no)?.hold_ms ?? 0;
    const until = scope.now_ms + Math.min(extension_ms, hold_ms);
    updateOrders(scope, [order], (o) => ({
      ...{ state: o.state, cause: o.cause, actor: o.actor, extended: true },
      expires_at: Math.max(o.expires_at, until),
    }));
    return 1;
  },
  expires_at: (scope, [id]: readonly string[]) => {
    const order = scope.get<OrderRow>('orders', id);
    return order ? [{ expires_at: new Date(order.expires_at) }] : [];
  },
};

const openRefunds = (scope: Scope, attempt_id: string) =>
  scope.all<RefundLedgerRow>('refunds').filter((r) => r.attempt_id === attempt_id && r.state === 'wanted');

const lockById: Statement = (scope, [id]: readonly string[]) => (lockOrder(scope, id) ? [{ id }] : []);

const refunds: Record<string, Statement> = {
  close_refunds: (scope, [ids]: readonly (readonly string[])[]) => {
    const open = ids.flatMap((id) => openRefunds(scope, id));
    for (const refund of open) {
      if (!scope.lock('refunds', refund.id)) continue;
      const change = {
        state: 'refused',
        refusal_code: 'refunded_in_full',
        updated_at: scope.now_ms,
      } as const;
      updateRefund(scope, refund, change);
    }
    return open.length;
  },
  request_refund_lock: (scope, [tenant, id]: readonly string[]) => {
    if (scope.get<OrderRow>('orders', id)?.tenant !== tenant) return [];
    const order = lockOrder(scope, id);
    return order ? [{ id, state: order.state }] : [];
  },
  request_refund_known: (scope, [order_id, key]: readonly string[]) =>
    scope.all<RefundLedgerRow>('refunds').filter((r) => r.order_id === order_id && r.key === key),
  request_refund_paid: (scope, [order_id]: readonly string[]) =>
    attemptsOf(scope, order_id)
      .filter((a) => a.state === 'captured' && !a.reversal_wanted)
      .map((a) => ({ id: a.id, left: a.amount - a.refunded, open: openRefunds(scope, a.id).length > 0 })),
  request_refund_insert: (scope, values: readonly unknown[]) => {
    const [order_id, attempt_id, key, amount, reason, actor, look_ms] = values as [
      ...[string, string, string, number, string | null, string, number],
    ];
    if (openRefunds(scope, attempt_id).length > 0) throw sqlError('23505', 'one open', 'refunds_one_open');
    const now = scope.now_ms;
    const row: RefundLedgerRow = {
      ...{ id: scope.uuid(), order_id, attempt_id, key, amount, reason, actor, state: 'wanted' },
      ...{ psp_ref: null, refusal_code: null, key_no: 1, tries: 0, next_look_at: now + look_ms },
      ...{ created_at: now, updated_at: now, erred_at: null },
    };
    scope.insert('refunds', row.id, row);
    return [row];
  },
  find_refund: (scope, [id]: readonly string[]) => {
    const row = scope.get<RefundLedgerRow>('refunds', id);
    return row ? [{ ...row, erred_ms: since(scope, row.erred_at) }] : [];
  },
  attempt_of_refund: (scope, [id]: readonly string[]) => {
    const row = scope.get<RefundLedgerRow>('refunds', id);
    const of = row && attempt(scope, row.attempt_id);
    return of ? view(scope, of) : [];
  },
  settle_refund_lock: lockById,
  settle_refund: (scope, values: readonly unknown[]) => {
    const [id, state, psp_ref, refusal_code, key_no, answered, look_ms] = values as [
      ...[string, RefundLedgerRow['state'], string | null, string | null, number, boolean, number],
    ];
    if (!scope.lock('refunds', id)) return 0;
    const row = scope.get<RefundLedgerRow>('refunds', id);
    if (row?.state !== 'wanted') return 0;
    const now = scope.now_ms;
    const fresh = answered ? now : null;
    updateRefund(scope, row, {
      ...{ state, refusal_code, psp_ref: psp_ref ?? row.psp_ref, key_no: Math.max(row.key_no, key_no) },
      erred_at: key_no > row.key_no ? fresh : answered ? (row.erred_at ?? now) : row.erred_at,
      ...{ tries: row.tries + 1, next_look_at: now + look_ms, updated_at: now },
    });
    return 1;
  },
  settle_refund_attempt: (scope, [id, given_back]: readonly [string, number]) => {
    const row = scope.lock('attempts', id) ? attempt(scope, id) : undefined;
    if (row?.state !== 'captured') return 0;
    const refunded = Math.min(row.amount, Math.max(row.refunded, given_back));
    updateAttempt(scope, row, { refunded, updated_at: scope.now_ms });
    return 1;
  },
  claim_refunds: (scope, [limit, lease_ms]: readonly number[]) => {
    const due = scope
      .all<RefundLedgerRow>('refunds')
      .filter((r) => r.state === 'wanted' && r.next_look_at <= scope.now_ms && !scope.locked('refunds', r.id))
      .slice(0, limit);
    for (const refund of due) {
      scope.lock('refunds', refund.id);
      updateRefund(scope, refund, { next_look_at: scope.now_ms + lease_ms });
    }
    return due.map(({ id }) => ({ id }));
  },
};

const shipments: Record<string, Statement> = {
  record_shipment_lock: (scope, [tenant, id]: readonly string[]) => {
    if (scope.get<OrderRow>('orders', id)?.tenant !== tenant) return [];
    const order = lockOrder(scope, id);
    return order ? [{ id, state: order.state }] : [];
  },
  record_shipment_known: (scope, [id]: readonly string[]) => {
    const row = scope.get<ShipmentRow>('shipments', id);
    return row ? [row] : [];
  },
  record_shipment_insert: (scope, values: readonly unknown[]) => {
    const [order_id, carrier, tracking_number, tracking_url, actor] = values as [
      string,
      ...(string | null)[],
    ];
    const row = { order_id, carrier, tracking_number, tracking_url, actor };
    if (!scope.insert('shipments', order_id, row)) return [];
    const state = scope.get<OrderRow>('orders', order_id)?.state;
    if (state) {
      const event = { order_id, from_state: state, to_state: state, cause: 'shipment_recorded' };
      addEvent(scope, { ...event, actor: actor ?? '' });
    }
    return [{ order_id }];
  },
  record_shipment_uncaptured: (scope, [id]: readonly string[]) =>
    attemptsOf(scope, id)
      .filter(({ state }) => ['pending', 'unknown', 'authorized'].includes(state))
      .map((a) => ({ id: a.id })),
};

const inbox: Record<string, Statement> = {
  insert_psp_event: (scope, [provider, event_id, body]: readonly string[]) => {
    const row: PspEventLedgerRow = {
      ...{ id: scope.sequence('psp_events'), provider, event_id, body: JSON.parse(body) },
      ...{ received_at: scope.now_ms, settled_at: null, tries: 0, next_look_at: scope.now_ms },
    };
    return scope.insert('psp_events', `${provider}/${event_id}`, row) ? 1 : 0;
  },
  claim_psp_events: (scope, [limit, lease_ms]: readonly number[]) =>
    scope
      .all<PspEventLedgerRow>('psp_events')
      .map((row) => ({ row, key: `${row.provider}/${row.event_id}` }))
      .filter(
        ({ row, key }) =>
          row.settled_at === null && row.next_look_at <= scope.now_ms && !scope.locked('psp_events', key),
      )
      .sort((a, b) => a.row.next_look_at - b.row.next_look_at || a.row.id - b.row.id)
      .slice(0, limit)
      .map(({ row, key }) => {
        scope.lock('psp_events', key);
        const after = { ...row, tries: row.tries + 1, next_look_at: scope.now_ms + lease_ms };
        scope.put('psp_events', key, after);
        return after;
      }),
  settle_psp_events: (scope, [ids]: readonly (readonly number[])[]) => {
    const due = scope
      .all<PspEventLedgerRow>('psp_events')
      .filter((row) => ids.includes(row.id) && row.settled_at === null);
    for (const row of due) {
      const key = `${row.provider}/${row.event_id}`;
      scope.lock('psp_events', key);
      scope.put('psp_events', key, { ...row, settled_at: scope.now_ms });
    }
    return due.length;
  },
};

export const paymentStatements = { ...attempts, ...stepwise, ...refunds, ...shipments, ...inbox };
