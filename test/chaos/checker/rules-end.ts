/** In the end there is nothing left to do. */
import type { Evidence, Finding, LedgerRows } from './evidence.ts';

/** What is still under way, a line each. Empty: drained. */
export function underWay(ledger: LedgerRows): string[] {
  const left: string[] = [];
  for (const sale of ledger.sales) {
    const say = (what: string) => left.push(`${sale.sale}: ${what}`);
    if (sale.fenced_reason) say(`fenced (${sale.fenced_reason})`);
    if (sale.unsealed > 0) say(`${sale.unsealed} movements not sealed`);
    if (sale.acked_n !== sale.sealed_n) say(`movements applied ${sale.acked_n} of ${sale.sealed_n}`);
    if (sale.gate !== 'closed') say(`gate ${sale.gate}`);
  }
  for (const order of ledger.orders) {
    if (['reserved', 'authorized'].includes(order.state)) left.push(`${order.id}: ${order.state}`);
    if (order.unfinished_attempts > 0) left.push(`${order.id} (${order.state}): payment under way`);
    if (order.refunds_open > 0) left.push(`${order.id}: refund under way`);
  }
  return left;
}

export function drained(evidence: Evidence): Finding {
  const violations = underWay(evidence.ledger).map((what) => ({ rule: 'drained', what }));
  return { checked: evidence.ledger.orders.length + evidence.ledger.sales.length, violations };
}

/** Processes end when they are told to, and clients meet no surprises. */
export function noSurprises(evidence: Evidence): Finding {
  const violations = evidence.surprises.map((what) => ({ rule: 'no_surprises', what }));
  return { checked: evidence.faults.length, violations };
}
