/** What stands beside the history: attempts to pay, movements back to Redis, and what operators asked for. */

import type { Books } from './books.ts';
import { type Claim, paymentKey } from './certificate.ts';
import type { Findings } from './findings.ts';
import { count, type Json, list, text, textOrNull, truth } from './read.ts';
import { UNFINISHED, WITH_GOODS } from './rules.ts';

export type Evidence = {
  attempt(line: Json, no: number): void;
  movement(line: Json, no: number): void;
  request(line: Json, no: number): void;
  payments: Map<string, { attempts: number; amount: number; refunded: number }>;
  /** By SKU, what has not been applied where the certificate stands. */
  waiting: Map<string, { to_available: number; from_held: number }>;
  /** By SKU, what operators added and took by request, and what movements took to Redis. */
  asked: Map<string, { added: number; taken: number; moved: number }>;
  unsealed: number;
};

export function createEvidence(claim: Claim, books: Books, findings: Findings): Evidence {
  const evidence: Evidence = {
    attempt,
    movement,
    request,
    payments: new Map(),
    waiting: new Map(),
    asked: new Map(),
    unsealed: 0,
  };
  let last = { n: 0, id: 0 };

  function attempt(line: Json, no: number): void {
    const order = books.orders.get(text(line, 'order'));
    const state = text(line, 'state');
    const wanted = truth(line, 'reversal_wanted');
    const amount = count(line, 'amount');
    const refunded = count(line, 'refunded');
    const key = paymentKey(text(line, 'psp'), state, wanted);
    const row = evidence.payments.get(key) ?? { attempts: 0, amount: 0, refunded: 0 };
    evidence.payments.set(key, row);
    row.attempts += 1;
    row.amount += amount;
    row.refunded += refunded;
    if (!order) {
      findings.add('money', `a payment of order ${text(line, 'order')}, which is not there`, no);
      return;
    }
    if (amount !== order.total || text(line, 'currency') !== claim.currency)
      findings.add('money', `order ${order.id} costs ${order.total}, and a payment of it is ${amount}`, no);
    if (refunded > amount) findings.add('money', `order ${order.id}: more given back than paid`, no);
    const unfinished = UNFINISHED.includes(state);
    if (!unfinished && state !== 'captured') return;
    order.alive += 1;
    if (order.alive > 1) findings.add('money', `order ${order.id} is paid twice`, no);
    if (state === 'captured') {
      order.held_money += amount;
      order.held_refunded += refunded;
    }
    if (!WITH_GOODS.includes(order.state) && !['reserved', 'authorized'].includes(order.state) && !wanted)
      findings.add('money', `order ${order.id} is ${order.state}, and its money is not wanted back`, no);
  }

  function movement(line: Json, no: number): void {
    const n = line.n === null ? null : count(line, 'n');
    const id = count(line, 'id');
    const place = n ?? Number.POSITIVE_INFINITY;
    if (place < last.n || (place === last.n && id <= last.id))
      findings.add('returns', `movement ${id} stands twice, or in the wrong place`, no);
    last = { n: place, id };
    const sku = text(line, 'sku');
    const to_available = count(line, 'to_available');
    const from_held = count(line, 'from_held');
    if (n === null) evidence.unsealed += 1;
    if (n === null || n > claim.applied_n) {
      const row = evidence.waiting.get(sku) ?? { to_available: 0, from_held: 0 };
      evidence.waiting.set(sku, row);
      row.to_available += to_available;
      row.from_held += from_held;
    }
    const cause = text(line, 'cause');
    if (cause === 'topup') {
      asked(sku).moved += to_available;
      return;
    }
    const order = books.orders.get(textOrNull(line, 'order') ?? '');
    const items = order?.lines.filter((item) => item.sku === sku) ?? [];
    if (!order || items.length === 0) {
      findings.add('returns', `movement ${id} gives back what no order had`, no);
      return;
    }
    const qty = items.reduce((sum, item) => sum + item.qty, 0);
    if (cause === 'rejected') {
      if (order.state !== 'rejected' || to_available !== 0 || from_held > qty)
        findings.add('returns', `movement ${id} is of no rejected order`, no);
      return;
    }
    // What Redis took twice goes back once more, and the order keeps its own.
    if (cause === 'replayed') {
      if (to_available !== from_held) findings.add('returns', `movement ${id} gives back by halves`, no);
      return;
    }
    // An order may name a SKU in several lines, each with a movement of its own.
    let [available, held] = [to_available, from_held];
    for (const item of items) {
      const [a, h] = [Math.min(available, item.to_available), Math.min(held, item.from_held)];
      item.to_available -= a;
      item.from_held -= h;
      available -= a;
      held -= h;
    }
    order.limit_given_back -= count(line, 'buyer_units');
    if (available > 0 || held > 0)
      findings.add('returns', `order ${order.id} gives back ${sku} more than once, or without an end`, no);
  }

  function asked(sku: string) {
    const row = evidence.asked.get(sku) ?? { added: 0, taken: 0, moved: 0 };
    evidence.asked.set(sku, row);
    return row;
  }

  function request(line: Json, _no: number): void {
    const kind = text(line, 'request');
    for (const one of list(line, 'items')) {
      const [sku, qty] = one as [unknown, unknown];
      const item = { sku, qty };
      asked(text(item, 'sku'))[kind === 'topup' ? 'added' : 'taken'] += count(item, 'qty');
    }
  }

  return evidence;
}
