/** When the last line has been read: the books lived through against the certificate's claims. */
import type { Books, Order } from './books.ts';
import type { Claim } from './certificate.ts';
import type { Evidence } from './evidence.ts';
import type { Findings } from './findings.ts';
import { UNFINISHED, WITH_GOODS } from './rules.ts';

export function conclude(claim: Claim, books: Books, evidence: Evidence, findings: Findings): void {
  skus(claim, books, evidence, findings);
  const states = new Map<string, { orders: number; total: number }>();
  books.gates.sort((a, b) => a.seq - b.seq);
  for (const order of books.orders.values()) {
    const row = states.get(order.state) ?? { orders: 0, total: 0 };
    states.set(order.state, row);
    row.orders += 1;
    row.total += order.total;
    returns(order, findings);
    money(claim, order, findings);
    gate(claim, books, order, findings);
  }
  same('orders', states, claim.orders, findings);
  same('payments', evidence.payments, claim.payments, findings);
  if (evidence.unsealed !== claim.movements_unsealed)
    findings.add(
      'totals',
      `${evidence.unsealed} movements are not sealed, and the certificate says ${claim.movements_unsealed}`,
    );
  if (!claim.interim) final(claim, books, evidence, findings);
}

function skus(claim: Claim, books: Books, evidence: Evidence, findings: Findings): void {
  const claimed = new Set(claim.skus.map(({ sku }) => sku));
  for (const sku of books.stock.keys())
    if (!claimed.has(sku)) findings.add('totals', `the certificate leaves ${sku} out`);
  for (const k of claim.skus) {
    const real = books.stock.get(k.sku);
    if (!real) {
      findings.add('totals', `nothing is known of ${k.sku}`);
      continue;
    }
    for (const name of ['created', 'added', 'taken', 'total', 'reserved', 'sold'] as const) {
      if (k[name] !== real[name])
        findings.add('totals', `${k.sku}: ${name} is ${real[name]}, and the certificate says ${k[name]}`);
    }
    const waiting = evidence.waiting.get(k.sku) ?? { to_available: 0, from_held: 0 };
    if (waiting.to_available !== k.waiting_to_available || waiting.from_held !== k.waiting_from_held)
      findings.add(
        'totals',
        `${k.sku}: ${waiting.to_available} and ${waiting.from_held} units are on their way`,
      );
    const available = real.total - real.reserved - real.sold - waiting.to_available;
    const held = real.reserved + waiting.from_held;
    if (k.available !== available || available < 0)
      findings.add('conservation', `${k.sku}: available is ${k.available}, and should be ${available}`);
    if (k.held !== held) findings.add('conservation', `${k.sku}: held is ${k.held}, and should be ${held}`);
    const asked = evidence.asked.get(k.sku) ?? { added: 0, taken: 0, moved: 0 };
    if (asked.added !== real.added || asked.moved !== real.added)
      findings.add(
        'stock',
        `${k.sku}: ${real.added} units were added, ${asked.added} asked for, ${asked.moved} moved`,
      );
    // Of a sale that is fenced Redis may have taken more than there was.
    const taken = claim.missing.includes('fenced') ? asked.taken >= real.taken : asked.taken === real.taken;
    if (!taken)
      findings.add('stock', `${k.sku}: ${real.taken} units were taken out, ${asked.taken} asked for`);
  }
}

function returns(order: Order, findings: Findings): void {
  for (const { sku, to_available, from_held } of order.lines) {
    if (to_available > 0 || from_held > 0)
      findings.add('returns', `order ${order.id} (${order.state}) does not give ${sku} back`);
  }
  if (order.limit_given_back !== 0)
    findings.add(
      'limits',
      `order ${order.id} gives back to its buyer's limit what it did not take, or not at all`,
    );
}

function money(claim: Claim, order: Order, findings: Findings): void {
  const goods = WITH_GOODS.includes(order.state);
  const open = ['reserved', 'authorized'].includes(order.state);
  if (goods && order.total > 0 && order.alive === 0)
    findings.add('money', `order ${order.id} is ${order.state} and not paid`);
  if (!claim.interim && !goods && !open && order.alive > 0)
    findings.add('money', `order ${order.id} is ${order.state}, and its money has not gone back`);
  const net = order.captured - order.returned;
  // Refunds made at the provider itself are known to the attempt alone.
  if (net > order.held_money || net < order.held_money - order.held_refunded)
    findings.add(
      'money',
      `order ${order.id}: ${order.captured} taken and ${order.returned} given back, but its payment holds ${order.held_money}`,
    );
}

function gate(claim: Claim, books: Books, order: Order, findings: Findings): void {
  const at = lastBefore(books.gates, order.seq);
  const reserved_at = Date.parse(order.reserved_at);
  const stood = at?.gate ?? 'unknown';
  const early = stood === 'scheduled' && !(claim.opens_at && reserved_at >= Date.parse(claim.opens_at));
  const late = claim.closes_at !== null && reserved_at >= Date.parse(claim.closes_at);
  if (early || late || !['open', 'scheduled'].includes(stood))
    findings.add(
      'gate',
      `order ${order.id} was reserved at position ${order.seq}, where the gate was ${late ? 'closed' : stood}`,
    );
}

function lastBefore(gates: readonly { seq: number; gate: string }[], seq: number) {
  let [low, high] = [0, gates.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (gates[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return gates[low - 1];
}

type Sums = Readonly<Record<string, number>>;

function same(what: string, real: Map<string, Sums>, claimed: Map<string, Sums>, findings: Findings): void {
  for (const name of new Set([...real.keys(), ...claimed.keys()])) {
    const [a, b] = [real.get(name), claimed.get(name)];
    if (JSON.stringify(a) !== JSON.stringify(b))
      findings.add('totals', `${what} ${name}: ${said(a)}, and the certificate says ${said(b)}`);
  }
}

const said = (sums: Sums | undefined): string =>
  sums
    ? Object.entries(sums)
        .map(([name, value]) => `${value} ${name}`)
        .join(', ')
    : 'none';

function final(claim: Claim, books: Books, evidence: Evidence, findings: Findings): void {
  const not = (message: string) =>
    findings.add('final', `the certificate calls itself final, but ${message}`);
  if (claim.missing.length > 0) not(`it misses ${claim.missing.join(', ')}`);
  if (!claim.balanced) not('says that the books do not balance');
  const over = claim.closes_at !== null && Date.parse(claim.closes_at) < Date.parse(claim.made_at);
  if (claim.gate !== 'closed' && !over) not(`the sale is ${claim.gate}`);
  if (claim.gate === 'closed' && books.gates.at(-1)?.gate !== 'closed' && !over)
    not('nothing shows that Redis took the close');
  if (claim.applied_n !== claim.sealed_n || claim.acked_n !== claim.sealed_n || evidence.unsealed > 0)
    not('movements are under way');
  if (claim.unchained > 0) not('not all of its history is in the chain');
  for (const [state, { orders }] of claim.orders)
    if (['reserved', 'authorized'].includes(state)) not(`${orders} orders are ${state}`);
  for (const [payment, { attempts }] of claim.payments) {
    const [, state] = payment.split(' ');
    if (UNFINISHED.includes(state) || (state === 'captured' && payment.endsWith('wanted back')))
      not(`${attempts} payments are ${payment}`);
  }
}
