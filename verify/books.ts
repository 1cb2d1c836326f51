/**
 * The sale lived through again, event by event: what every order became, where each unit is, what each buyer had, and what
 * was paid. The books kept here are compared with what the certificate claims.
 */
import type { Claim } from './certificate.ts';
import type { Findings } from './findings.ts';
import { count, integer, type Json, list, Malformed, object, text, textOrNull } from './read.ts';
import { NEXT, UNITS, unitsOf } from './rules.ts';

export type Order = {
  id: string;
  state: string;
  /** By turns: SKU, units, what of them is still to go back to available, and to leave held. */
  lines: { sku: string; qty: number; to_available: number; from_held: number }[];
  buyer: string;
  limit_units: number;
  limit_given_back: number;
  total: number;
  seq: number;
  reserved_at: string;
  /** Money as the events tell it. */
  captured: number;
  returned: number;
  /** As the attempts tell it. */
  alive: number;
  held_money: number;
  held_refunded: number;
};

export type Stock = {
  created: number;
  added: number;
  taken: number;
  total: number;
  reserved: number;
  sold: number;
};
export type Gate = { seq: number; gate: string };

export type Books = {
  orders: Map<string, Order>;
  stock: Map<string, Stock>;
  gates: Gate[];
  /** Takes one line of the history. */
  take(line: Json, no: number): void;
};

export const HISTORY_KINDS = ['event', 'created', 'topup', 'reduce', 'gate'];

export function createBooks(claim: Claim, findings: Findings): Books {
  const orders = new Map<string, Order>();
  const stock = new Map<string, Stock>();
  const gates: Gate[] = [];
  const buyers = new Map<string, number>();
  let last_id = 0;

  function take(line: Json, no: number): void {
    const id = count(line, 'id');
    if (id <= last_id) findings.add('chain', `event ${id} stands behind event ${last_id}`, no);
    last_id = id;
    const kind = text(line, 'kind');
    if (kind === 'event') event(line, no);
    else if (kind === 'gate') gates.push({ seq: count(line, 'seq'), gate: text(line, 'gate') });
    else stockEvent(kind, line, no);
  }

  function stockEvent(kind: string, line: Json, no: number): void {
    const sku = text(line, 'sku');
    const change = integer(line, 'change');
    const known = stock.get(sku);
    const right = { created: !known && change >= 0, topup: change > 0, reduce: change < 0 }[kind];
    if (!right || (kind !== 'created' && !known))
      findings.add('stock', `${kind} of ${change} units of ${sku} makes no sense here`, no);
    const row = known ?? { created: 0, added: 0, taken: 0, total: 0, reserved: 0, sold: 0 };
    stock.set(sku, row);
    if (kind === 'created') row.created += change;
    else if (change > 0) row.added += change;
    else row.taken -= change;
    row.total += change;
    if (row.total !== integer(line, 'total'))
      findings.add('stock', `${sku} has ${row.total} units and not ${integer(line, 'total')}`, no);
    within(sku, row, no);
  }

  function within(sku: string, row: Stock, no: number): void {
    if (row.reserved < 0 || row.sold < 0 || row.reserved + row.sold > row.total)
      findings.add(
        'conservation',
        `${sku}: ${row.reserved} reserved and ${row.sold} sold of ${row.total}`,
        no,
      );
  }

  function event(line: Json, no: number): void {
    const id = text(line, 'order');
    const from = textOrNull(line, 'from');
    const to = text(line, 'to');
    if (!(to in UNITS)) throw new Malformed(`there is no state ${to}`);
    const order = orders.get(id);
    if (from === null) {
      if (order) findings.add('orders', `order ${id} begins twice`, no);
      else begin(id, to, object(line.facts, 'facts'), no);
      return;
    }
    if (!order) {
      findings.add('orders', `order ${id} goes on but never began`, no);
      return;
    }
    if (from === to) money(order, text(line, 'cause'), line, no);
    else move(order, from, to, line, no);
  }

  function begin(id: string, state: string, facts: Json, no: number): void {
    const lines = list(facts, 'items').map((one) => {
      const [sku, qty, unit_price] = one as [unknown, unknown, unknown];
      const item = { sku, qty, unit_price };
      if (count(item, 'qty') === 0) throw new Malformed('a quantity is 0');
      return {
        sku: text(item, 'sku'),
        qty: count(item, 'qty'),
        price: count(item, 'unit_price'),
        to_available: 0,
        from_held: 0,
      };
    });
    const n = (name: string) => count(facts, name);
    const total = n('total');
    const subtotal = lines.reduce((sum, line) => sum + line.qty * line.price, 0);
    if (subtotal !== n('subtotal') || total !== subtotal - n('discount') + n('shipping') + n('tax'))
      findings.add('orders', `the amounts of order ${id} do not add up`, no);
    if (text(facts, 'currency') !== claim.currency)
      findings.add('orders', `order ${id} is in another currency`, no);
    if (lines.length === 0) findings.add('orders', `order ${id} is of nothing`, no);
    if (state !== 'reserved' && state !== 'rejected')
      findings.add('orders', `order ${id} begins as ${state}`, no);
    const order: Order = {
      id,
      state,
      lines: lines.map(({ price, ...line }) => line),
      buyer: text(facts, 'buyer'),
      limit_units: n('limit_units'),
      limit_given_back: 0,
      total,
      seq: n('seq'),
      reserved_at: text(facts, 'reserved_at'),
      captured: 0,
      returned: 0,
      alive: 0,
      held_money: 0,
      held_refunded: 0,
    };
    orders.set(id, order);
    if (state !== 'reserved') return;
    count_(order, 'none', 'reserved', no);
    const has = (buyers.get(order.buyer) ?? 0) + order.limit_units;
    buyers.set(order.buyer, has);
    if (claim.limit_per_buyer > 0 && has > claim.limit_per_buyer)
      findings.add(
        'limits',
        `buyer ${order.buyer} has ${has} with order ${id}; the limit is ${claim.limit_per_buyer}`,
        no,
      );
  }

  function move(order: Order, from: string, to: string, line: Json, no: number): void {
    if (order.state !== from)
      findings.add('orders', `order ${order.id} is ${order.state}, and goes on from ${from}`, no);
    if (!NEXT[from]?.includes(to))
      findings.add('orders', `order ${order.id} may not go from ${from} to ${to}`, no);
    const restock = line.restock === true;
    if ((to === 'refunded') !== 'restock' in line) throw new Malformed('restock is missing or too much');
    const before = unitsOf(order.state, false);
    const after = unitsOf(to, restock);
    order.state = to;
    count_(order, before, after, no);
    for (const item of order.lines) {
      if (before === 'reserved' && after !== 'reserved') item.from_held += item.qty;
      if (after === 'back' && before !== 'back') item.to_available += item.qty;
    }
    if (after !== 'back' || before === 'back') return;
    order.limit_given_back += order.limit_units;
    buyers.set(order.buyer, (buyers.get(order.buyer) ?? 0) - order.limit_units);
  }

  function count_(order: Order, before: string, after: string, no: number): void {
    for (const { sku, qty } of order.lines) {
      const row = stock.get(sku);
      if (!row) {
        findings.add('orders', `order ${order.id} is of ${sku}, which is not on sale`, no);
        continue;
      }
      if (before === 'reserved') row.reserved -= qty;
      if (before === 'sold') row.sold -= qty;
      if (after === 'reserved') row.reserved += qty;
      if (after === 'sold') row.sold += qty;
      within(sku, row, no);
    }
  }

  function money(order: Order, cause: string, line: Json, no: number): void {
    if (!['payment_captured', 'payment_refunded', 'partially_refunded'].includes(cause)) return;
    const detail = object(line.detail, 'detail');
    const amount = count(detail, 'amount');
    if (text(detail, 'currency') !== claim.currency)
      findings.add('money', `order ${order.id}: money in another currency`, no);
    if (cause === 'payment_captured') order.captured += amount;
    else order.returned += amount;
    // Looked up late, a payment may be found taken and given back already: then nobody saw it taken.
    if (cause === 'payment_refunded' && order.returned > order.captured && amount === order.total)
      order.captured += amount;
    if (order.returned > order.captured)
      findings.add('money', `order ${order.id}: more given back than taken`, no);
  }

  return { orders, stock, gates, take };
}
