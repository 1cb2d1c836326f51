/** Money, by the provider's own record. */
import { type Evidence, type Finding, groupBy, SOLD } from './evidence.ts';

/** Nobody is charged twice, nobody pays for nothing, nothing is left hanging. */
export function moneyIsRight(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const say = (what: string) => violations.push({ rule: 'money', what });
  const orders = new Map(evidence.ledger.orders.map((order) => [order.id, order]));
  const payments = groupBy(
    // Names that were closed before anything was asked for under them carry no order.
    evidence.payments.filter(({ order_id }) => order_id !== ''),
    ({ order_id }) => order_id,
  );
  for (const [id, of] of payments) {
    const kept = of.filter(({ captured, refunded }) => captured > refunded);
    if (kept.length > 1) say(`${id}: charged ${kept.length} times`);
    if (of.some(({ status }) => status === 'authorized' || status === 'pending'))
      say(`${id}: an authorization is left hanging`);
    if (of.some(({ refunded, captured }) => refunded > captured)) say(`${id}: more given back than taken`);
    const order = orders.get(id);
    if (!order && kept.length > 0) say(`${id}: charged, and there is no such order`);
    for (const { amount, currency, captured } of of) {
      if (
        order &&
        captured > 0 &&
        (amount !== order.total || captured > order.total || currency !== order.currency)
      )
        say(`${id}: ${captured} ${currency} taken, and it costs ${order.total} ${order.currency}`);
    }
  }
  for (const order of orders.values()) {
    const net = (payments.get(order.id) ?? []).reduce(
      (all, { captured, refunded }) => all + captured - refunded,
      0,
    );
    const due = SOLD.includes(order.state) ? order.total - order.refunds_done : 0;
    if (net !== due) say(`${order.id} (${order.state}): ${net} paid, and not ${due}`);
  }
  return { checked: payments.size + orders.size, violations };
}

/** Parts are given back as often as an operator asked for, and not oftener. */
export function refundsWereAsked(evidence: Evidence): Finding {
  const violations: Finding['violations'] = [];
  const asked = groupBy(
    evidence.deeds.filter(({ deed }) => deed === 'refund_part'),
    ({ order_id }) => order_id,
  );
  for (const order of evidence.ledger.orders) {
    const wanted = asked.get(order.id)?.[0]?.amount ?? 0;
    if (order.refunds_done !== 0 && order.refunds_done !== wanted)
      violations.push({
        rule: 'refunds',
        what: `${order.id}: ${order.refunds_done} given back, asked for ${wanted}`,
      });
  }
  return { checked: asked.size, violations };
}
