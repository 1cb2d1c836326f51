/** What clients were told, against what is there. */
import { type Evidence, type Finding, groupBy, type OrderRow } from './evidence.ts';
import type { BuyLine } from './lines.ts';
import { mayBeMissing } from './promise.ts';

type Answer = {
  order_id: string;
  sale_id: string;
  items: { sku: string; qty: number; unit_price: number }[];
  amounts: { currency: string; subtotal: number; total: number };
};

const keyOf = (row: { sale: string; email: string | null }) => `${row.sale} ${row.email?.split('@')[0]}`;
const keyOfBuy = (buy: BuyLine) => `${buy.sale} ${buy.key}`;
const said = (buy: BuyLine) => JSON.parse(buy.text ?? '{}') as Answer;
const lines = (items: readonly { sku: string; qty: number }[]) =>
  items
    .map(({ sku, qty }) => `${qty} ${sku}`)
    .sort()
    .join();

/** Each 201 is exactly one order with the same id, buyer, lines and amounts. */
export function acknowledgedIsThere(evidence: Evidence): Finding {
  const orders = new Map(evidence.ledger.orders.map((order) => [order.id, order]));
  const missing = mayBeMissing(evidence);
  const violations: Finding['violations'] = [];
  const told = evidence.buys.filter(({ status }) => status === 201);
  const asked = groupBy(evidence.buys, keyOfBuy);
  for (const buy of told) {
    const answer = said(buy);
    const order = orders.get(answer.order_id);
    const wrong = (what: string) =>
      violations.push({ rule: 'acknowledged_is_there', what: `${buy.key}, ${answer.order_id}: ${what}` });
    if (!order) {
      if (!missing(buy)) wrong('acknowledged, and not in the ledger');
      continue;
    }
    // The key of what was lost is new: another request may have taken it.
    const others = asked.get(keyOfBuy(buy)) ?? [];
    if (missing(buy) && others.some((other) => isDifferent(other, buy) && mayHaveMade(other, order)))
      continue;
    if (order.state === 'rejected') wrong('acknowledged, and rejected');
    if (order.buyer !== buy.buyer || order.sale !== buy.sale) wrong(`is ${order.buyer}'s in ${order.sale}`);
    if (lines(order.items) !== lines(buy.items)) wrong(`has ${lines(order.items)}, not ${lines(buy.items)}`);
    if (lines(answer.items) !== lines(buy.items)) wrong(`was answered ${lines(answer.items)}`);
    const { total, subtotal, currency } = answer.amounts;
    if (order.total !== total || order.subtotal !== subtotal || order.currency !== currency)
      wrong(`costs ${order.total} ${order.currency}, and was told ${total} ${currency}`);
    const due = order.items.reduce((sum, item) => sum + item.qty * priceOf(evidence, buy.sale, item.sku), 0);
    if (subtotal !== due) wrong(`subtotal ${subtotal}, and not ${due}`);
  }
  return { checked: told.length, violations };
}

const isDifferent = (one: BuyLine, other: BuyLine) => lines(one.items) !== lines(other.items);

function mayHaveMade({ items, status }: BuyLine, order: OrderRow): boolean {
  return lines(items) === lines(order.items) && (status === undefined || status === 201 || status >= 500);
}

function priceOf(evidence: Evidence, sale: string, sku: string): number {
  return evidence.sales.get(sale)?.items.find((item) => item.sku === sku)?.unit_price ?? Number.NaN;
}

/** A key has one effect: one order at most, and every 201 under it is the first one verbatim. */
export function oneEffectAKey(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const say = (what: string) => violations.push({ rule: 'one_effect_a_key', what });
  const orders = groupBy(evidence.ledger.orders, keyOf);
  const missing = mayBeMissing(evidence);
  for (const [key, same] of orders) {
    if (same.length > 1) say(`${key}: ${same.length} orders (${same.map(({ id }) => id).join()})`);
  }
  const buys = groupBy(evidence.buys, keyOfBuy);
  for (const [key, same] of buys) {
    const told = same.filter(({ status }) => status === 201).sort((a, b) => a.done - b.done);
    const texts = new Set(told.map(({ text }) => text));
    if (texts.size <= 1) continue;
    // Of what Redis had forgotten before the ledger knew it the key is new.
    const known = told.filter((buy) => !missing(buy));
    const ids = new Set(told.map((buy) => said(buy).order_id));
    if (new Set(known.map(({ text }) => text)).size > 1) say(`${key}: ${texts.size} different 201s`);
    if (ids.size > 1) say(`${key}: answered with orders ${[...ids].join()}`);
  }
  return { checked: buys.size, violations };
}

/** No order without a request for exactly it; none from a request that was not valid, or was refused for good. */
export function noOrderUnasked(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const buys = groupBy(evidence.buys, keyOfBuy);
  for (const order of evidence.ledger.orders) {
    const asked = buys.get(keyOf(order)) ?? [];
    const reason = unasked(order, asked);
    if (reason)
      violations.push({ rule: 'no_order_unasked', what: `${order.id} (${order.email}): ${reason}` });
  }
  return { checked: evidence.ledger.orders.length, violations };
}

function unasked(order: OrderRow, asked: readonly BuyLine[]): string | undefined {
  const valid = asked.filter(({ kind }) => kind !== 'invalid');
  if (asked.length === 0) return 'nobody asked for it';
  if (valid.length === 0) return 'its request was not valid';
  const same = valid.filter((buy) => lines(buy.items) === lines(order.items));
  if (same.length === 0) return `nobody asked for ${lines(order.items)}`;
  return same.some((buy) => mayHaveMade(buy, order))
    ? undefined
    : `every such request was refused (${same.map(({ status }) => status).join()})`;
}

const STATUSES = [200, 201, 202, 400, 401, 403, 404, 409, 410, 422, 429, 503];

/** Answers are those of the API; what is not valid is never 201; another request under a key that has its order never is. */
export function answersAreSane(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const say = (buy: BuyLine, what: string) =>
    violations.push({ rule: 'answers_are_sane', what: `${buy.kind} ${buy.key} at ${buy.sent}: ${what}` });
  const missing = mayBeMissing(evidence);
  for (const same of groupBy(evidence.buys, keyOfBuy).values()) {
    const first = same.filter(({ status }) => status === 201).sort((a, b) => a.done - b.done)[0];
    for (const buy of same) {
      const { status, kind } = buy;
      if (status !== undefined && !STATUSES.includes(status)) say(buy, `status ${status}`);
      if (kind === 'invalid' && status !== undefined && (status < 400 || status === 409))
        say(buy, `not valid, and answered ${status}`);
      if (!first || missing(first) || buy.sent < first.done) continue;
      if (status === 201 && lines(buy.items) !== lines(first.items)) say(buy, 'another request, and 201');
      if (lines(buy.items) !== lines(first.items) || kind === 'invalid') continue;
      if (status === 201 && !buy.replayed) say(buy, 'its repeat is not marked as one');
      // A key that has its order keeps its answer: also when the sale is closed or sold out.
      if (status !== undefined && status < 500 && status !== 201 && status !== 429)
        say(buy, `has its order, and was answered ${status} ${buy.code}`);
    }
  }
  for (const deed of evidence.deeds) {
    const { status } = deed;
    if (status === undefined || STATUSES.includes(status)) continue;
    violations.push({ rule: 'answers_are_sane', what: `${deed.deed} of ${deed.order_id}: status ${status}` });
  }
  return { checked: evidence.buys.length + evidence.deeds.length, violations };
}

/** Nothing new is reserved while the gate is closed or paused: not after the operator was told, nor before the next try. */
export function gatesHold(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const shut = evidence.operated.filter(
    ({ verb, status }) => (verb === 'close' || verb === 'pause') && status === 200,
  );
  const bought = groupBy(
    evidence.buys.filter(({ status, replayed }) => status === 201 && !replayed),
    ({ sale }) => sale,
  );
  for (const gate of shut) {
    const resumed = evidence.operated.filter(
      ({ verb, sale, sent }) => verb === 'resume' && sale === gate.sale && sent >= gate.done,
    );
    const until =
      gate.verb === 'close' ? Number.POSITIVE_INFINITY : Math.min(...resumed.map(({ sent }) => sent));
    for (const buy of bought.get(gate.sale) ?? []) {
      if (buy.sent > gate.done && buy.done < until)
        violations.push({ rule: 'gates_hold', what: `${buy.key} was sold after ${gate.verb} was answered` });
    }
  }
  return { checked: shut.length, violations };
}
