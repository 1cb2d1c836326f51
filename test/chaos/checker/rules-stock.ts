/** Units: never more than there are, each back once if its order ended so, and the books agree with each other. */
import { type Evidence, type Finding, groupBy, HOLDING, hasReleased, SOLD } from './evidence.ts';
import type { Item } from './lines.ts';
import { mayBeMissing } from './promise.ts';

const name = (row: { sale: string; sku: string }) => `${row.sale} ${row.sku}`;

function sum(list: readonly Item[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { sku, qty } of list) sums.set(sku, (sums.get(sku) ?? 0) + qty);
  return sums;
}

/** A SKU has what it began with, and what operators added, less what they took out. */
export function totalsAreTheOperators(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const missing = mayBeMissing(evidence);
  const operated = groupBy(evidence.operated, ({ sale }) => sale);
  for (const row of evidence.ledger.skus) {
    const begun = evidence.sales.get(row.sale)?.items.find(({ sku }) => sku === row.sku)?.qty;
    if (begun === undefined) {
      violations.push({ rule: 'totals', what: `${name(row)}: nobody put it on sale` });
      continue;
    }
    let [least, most] = [begun, begun];
    for (const same of groupBy(operated.get(row.sale) ?? [], ({ verb, key }) => `${verb} ${key}`).values()) {
      const { verb, items = [] } = same[0] as (typeof same)[number];
      const done = same.find(({ status }) => status === 200 || status === 201);
      const unknown = same.some(({ status }) => status === undefined || status >= 500);
      if (verb === 'topup') {
        const added = sum(items).get(row.sku) ?? 0;
        if (done) least += added;
        if (done || unknown) most += added;
      }
      if (verb === 'reduce') {
        const asked = sum(items).get(row.sku) ?? 0;
        const took = done ? (sum(done.taken ?? []).get(row.sku) ?? 0) : asked;
        if (done || unknown) least -= took;
        if (done && !missing(done)) most -= took;
      }
    }
    if (row.total < least || row.total > most)
      violations.push({
        rule: 'totals',
        what: `${name(row)}: ${row.total} units, and not ${least} to ${most}`,
      });
  }
  return { checked: evidence.ledger.skus.length, violations };
}

/** Per SKU: the counters are the orders' sums, nothing is below zero, and Redis has exactly what is left. */
export function booksAgree(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const held = new Map<string, number>();
  const sold = new Map<string, number>();
  for (const order of evidence.ledger.orders) {
    const sums = SOLD.includes(order.state) || (order.state === 'refunded' && !order.restock) ? sold : held;
    if (sums === held && !HOLDING.includes(order.state)) continue;
    for (const { sku, qty } of order.items) {
      const at = name({ sale: order.sale, sku });
      sums.set(at, (sums.get(at) ?? 0) + qty);
    }
  }
  const stock = new Map(
    evidence.stock.flatMap(({ sale, items }) => items.map((item) => [name({ sale, sku: item.sku }), item])),
  );
  for (const row of evidence.ledger.skus) {
    const say = (what: string) => violations.push({ rule: 'books_agree', what: `${name(row)}: ${what}` });
    const [reserved, gone] = [held.get(name(row)) ?? 0, sold.get(name(row)) ?? 0];
    if (row.reserved !== reserved) say(`${row.reserved} reserved, and its orders hold ${reserved}`);
    if (row.sold !== gone) say(`${row.sold} sold, and its orders have ${gone}`);
    const left = row.total - row.reserved - row.sold;
    if (left < 0 || row.reserved < 0 || row.sold < 0) say(`${left} left of ${row.total}`);
    const live = stock.get(name(row));
    if (!live) say('Redis was not seen at the end');
    else if (live.available !== left) say(`Redis has ${live.available} available, and ${left} are left`);
    else if (live.held !== row.reserved) say(`Redis holds ${live.held}, and the ledger ${row.reserved}`);
  }
  return { checked: evidence.ledger.skus.length, violations };
}

/** At every moment of the ledger's history: no SKU had more units reserved and sold than it ever had. */
export function neverOversold(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const orders = new Map(evidence.ledger.orders.map((order) => [order.id, order]));
  const taken = new Map<string, number>();
  const most = new Map<string, number>();
  for (const row of evidence.ledger.skus) {
    const added = evidence.operated
      .filter(({ verb, sale }) => verb === 'topup' && sale === row.sale)
      .map(({ key, items = [] }) => [key, items.find(({ sku }) => sku === row.sku)?.qty ?? 0] as const);
    const begun = evidence.sales.get(row.sale)?.items.find(({ sku }) => sku === row.sku)?.qty ?? 0;
    most.set(name(row), begun + [...new Map(added).values()].reduce((all, qty) => all + qty, 0));
  }
  for (const event of evidence.ledger.events) {
    const order = orders.get(event.order_id);
    if (!order || event.to_state === event.from_state) continue;
    const before = event.from_state !== null && holds(event.from_state, false);
    const after = holds(event.to_state, order.restock);
    if (before === after) continue;
    for (const { sku, qty } of order.items) {
      const at = name({ sale: order.sale, sku });
      const units = (taken.get(at) ?? 0) + (after ? qty : -qty);
      taken.set(at, units);
      if (units > (most.get(at) ?? 0))
        violations.push({
          rule: 'never_oversold',
          what: `${at}: ${units} of ${most.get(at)} with order ${order.id}`,
        });
    }
  }
  return { checked: evidence.ledger.events.length, violations };
}

function holds(state: string, restock: boolean): boolean {
  return HOLDING.includes(state) || (state === 'refunded' && !restock);
}

/** What an order gives back: everything, once, if it ended so; nothing otherwise. Its hold ends once. */
export function eachUnitBackOnce(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const back = groupBy(
    evidence.ledger.movements.filter(({ order_id }) => order_id !== null),
    ({ order_id }) => order_id ?? '',
  );
  const known = new Set(evidence.ledger.orders.map(({ id }) => id));
  for (const id of back.keys()) {
    if (!known.has(id))
      violations.push({ rule: 'each_unit_back_once', what: `${id}: units of no order came back` });
  }
  for (const order of evidence.ledger.orders) {
    const rows = back.get(order.id) ?? [];
    const ended = order.state !== 'rejected' && !['reserved', 'authorized'].includes(order.state);
    for (const { sku, qty } of order.items) {
      const mine = rows.filter((row) => row.sku === sku);
      const returned = mine.reduce((all, row) => all + row.to_available, 0);
      const unheld = mine.reduce((all, row) => all + row.from_held, 0);
      const due = hasReleased(order) ? qty : 0;
      const say = (what: string) =>
        violations.push({
          rule: 'each_unit_back_once',
          what: `${order.id} (${order.state}), ${sku}: ${what}`,
        });
      if (order.state === 'rejected') continue;
      if (returned !== due) say(`${returned} units came back, and not ${due}`);
      if (unheld !== (ended ? qty : 0)) say(`${unheld} units left the hold, and not ${ended ? qty : 0}`);
    }
  }
  return { checked: evidence.ledger.orders.length, violations };
}

/** No buyer ever held and owned more units of a sale than its limit, in the ledger's order of events. */
export function limitsHold(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const orders = new Map(evidence.ledger.orders.map((order) => [order.id, order]));
  const owned = new Map<string, number>();
  for (const event of evidence.ledger.events) {
    const order = orders.get(event.order_id);
    const limit = order && evidence.sales.get(order.sale)?.limit;
    if (!order || !limit || event.to_state === event.from_state) continue;
    const before = event.from_state !== null && holds(event.from_state, false);
    const after = holds(event.to_state, order.restock);
    if (before === after) continue;
    const units = order.items.reduce((all, { qty }) => all + qty, 0);
    const who = `${order.sale} ${order.buyer}`;
    const now = (owned.get(who) ?? 0) + (after ? units : -units);
    owned.set(who, now);
    if (now > limit)
      violations.push({
        rule: 'limits_hold',
        what: `${who}: ${now} units of ${limit} with order ${order.id}`,
      });
  }
  return { checked: owned.size, violations };
}
