/**
 * Holds a world against the seven invariants (ARCHITECTURE.md), from the stores' own tables and the books that were kept
 * beside them: what Redis did (journal), what buyers were told (shop), what the provider did. Nothing of the product decides.
 */
import type { FaultLog } from './actors/faults.ts';
import type { Ack } from './actors/shop.ts';
import type {
  AttemptLedgerRow,
  CursorRow,
  ItemsRow,
  JobRow,
  MovementRow,
  OrderRow,
  PspEventLedgerRow,
  RebuildLedgerRow,
  RefundLedgerRow,
  SaleRow,
  SkuRow,
} from './ledger/rows.ts';
import { readHash } from './redis/keyspace.ts';
import { short, type World } from './world.ts';

const SOLD = ['confirmed', 'shipped', 'delivered'];
const RELEASED = ['expired', 'payment_failed', 'canceled'];
const SALE_NO = 1;

const releases = (order: OrderRow) =>
  RELEASED.includes(order.state) || (order.state === 'refunded' && order.restock);

/** Invariants 1 and 6 at the ledger's cursor, whatever is going on. */
export function judgeMoment(world: World): void {
  const { ledger } = world;
  const cursor = ledger.row<CursorRow>('cursors', SALE_NO);
  const sale = ledger.row<SaleRow>('sales', SALE_NO);
  if (!cursor || !sale) return;
  const movements = ledger.rows<MovementRow>('movements');
  const rebuilt = ledger.rows<RebuildLedgerRow>('rebuilds').find((row) => row.finished_at === null)?.phase;
  // What is drained from a memory that is given up tells of movements that count no more, until the sale is sealed.
  const given_up = rebuilt === 'draining' || rebuilt === 'sealing';
  for (const sku of given_up ? [] : ledger.rows<SkuRow>('skus')) {
    let [to_available, from_held] = [0, 0];
    for (const m of movements) {
      if (m.sku !== sku.sku || (m.n !== null && m.n <= cursor.applied_n)) continue;
      to_available += m.to_available;
      from_held += m.from_held;
    }
    const { total, reserved, sold, told_available, told_held } = sku;
    if (told_available !== total - reserved - sold - to_available)
      world.violate(
        `1: ${sku.sku}: told ${told_available} available, ${total}-${reserved}-${sold}-${to_available}`,
      );
    if (told_held !== reserved + from_held)
      world.violate(`1: ${sku.sku}: told ${told_held} held, ${reserved}+${from_held}`);
  }
  if (sale.limit_per_buyer === 0) return;
  const units = new Map<string, number>();
  for (const order of ledger.rows<OrderRow>('orders')) {
    if (releases(order) || order.state === 'rejected') continue;
    const now = (units.get(order.buyer) ?? 0) + order.limit_units;
    units.set(order.buyer, now);
    if (now > sale.limit_per_buyer) world.violate(`6: ${order.buyer} has ${now} of ${sale.limit_per_buyer}`);
  }
}

/** No order's money is taken twice, at any time. Asked whenever the provider did something. */
export function judgeMoney(world: World): void {
  const order_of = new Map(world.ledger.rows<AttemptLedgerRow>('attempts').map((a) => [a.id, a.order_id]));
  const nets = new Map<string, number>();
  for (const payment of world.provider.payments()) {
    const order_id = order_of.get(payment.reference);
    if (order_id === undefined) continue;
    nets.set(order_id, (nets.get(order_id) ?? 0) + payment.captured - payment.refunded);
  }
  for (const [order_id, net] of nets) {
    const total = world.ledger.row<OrderRow>('orders', order_id)?.total ?? 0;
    if (net > total) world.violate(`4: ${net} of ${total} is taken for order ${name(order_id)}`);
  }
}

/** Undefined once all has come to its end; else what has not. */
export function unsettled(world: World): string | undefined {
  const { ledger } = world;
  const cursor = ledger.row<CursorRow>('cursors', SALE_NO);
  const sale = ledger.row<SaleRow>('sales', SALE_NO);
  if (!cursor?.loaded || !sale) return 'the sale is not loaded';
  if (cursor.fenced_reason !== null) return `the sale is fenced: ${cursor.fenced_reason}`;
  if (ledger.rows<RebuildLedgerRow>('rebuilds').some((row) => row.finished_at === null))
    return 'it is being rebuilt';
  const record = readHash(world.redis.keys(), `st:{${sale.tenant}:${sale.id}}:record`);
  if (record.get('recovery') !== 'open' || Number(record.get('epoch')) !== cursor.epoch)
    return 'the sale is not open';
  if (Number(record.get('seq')) !== cursor.seq) return 'the stream is not drained';
  if (cursor.gate_version_seen !== sale.gate_version) return 'the gate is not in Redis';
  if (ledger.rows<MovementRow>('movements').some((m) => m.n === null)) return 'movements are not sealed';
  if (cursor.sealed_n !== cursor.acked_n || cursor.sealed_n !== cursor.applied_n)
    return 'movements are not applied';
  const held = ledger
    .rows<OrderRow>('orders')
    .find(({ state }) => state === 'reserved' || state === 'authorized');
  if (held) return `order ${name(held.id)} is ${held.state}`;
  for (const attempt of ledger.rows<AttemptLedgerRow>('attempts')) {
    const rests =
      attempt.state === 'authorized' && !attempt.reversal_wanted && sale.capture === 'on_shipment';
    const open = ['pending', 'unknown', 'authorized'].includes(attempt.state);
    const back = attempt.state === 'captured' && attempt.reversal_wanted;
    if ((open && !rests) || back) return `attempt ${attempt.id.slice(0, 8)} is ${attempt.state}`;
  }
  if (ledger.rows<RefundLedgerRow>('refunds').some(({ state }) => state === 'wanted'))
    return 'a refund is open';
  if (ledger.rows<PspEventLedgerRow>('psp_events').some((e) => e.settled_at === null))
    return 'webhooks are not settled';
  const job = ledger
    .rows<JobRow>('jobs')
    .find((j) => j.name !== 'saga-dead' && !['completed', 'failed'].includes(j.state));
  return job && `a job of ${job.name} is ${job.state}`;
}

export type Books = {
  acks: readonly Ack[];
  faults: readonly FaultLog[];
  /** When a fault first made Redis forget; infinite if none did. */
  forgot_ms: number;
  initial: ReadonlyMap<string, number>;
};

/** All seven, once everything has come to its end. */
export function judgeEnd(world: World, books: Books): void {
  judgeMoment(world);
  judgeMoney(world);
  judgeOrders(world, books);
  judgeStock(world, books);
  judgePayments(world);
  judgeGate(world);
  judgeAltered(world, books);
}

/** 3: no other request under a key, unless Redis had forgotten the first before the ledger had heard of it: the key was new again. */
function judgeAltered(world: World, books: Books): void {
  for (const { buyer, key, at_ms } of world.altered) {
    const firsts = books.acks.filter((ack) => ack.buyer === buyer && ack.key === key);
    const gone = firsts.some(
      (ack) => !world.ledger.row<OrderRow>('orders', ack.order_id) || wasTakenAgain(world, books, ack),
    );
    if (!gone || at_ms < books.forgot_ms)
      world.violate(`3: another request under ${key} of ${buyer} was not refused`);
  }
}

/** Redis forgot the request, and took it, or another one under its key, for a new one. */
function wasTakenAgain(world: World, books: Books, { order_id }: Ack): boolean {
  const id = requestOf(order_id);
  const takes = world.taken.filter((event) => event.kind === 'taken' && event.id === id);
  return hasForgotten(books) && takes.length > 1;
}

/** 2 and 3. Where Redis forgot, what it alone knew may be gone; the same key may then be answered anew. */
function judgeOrders(world: World, books: Books): void {
  const { ledger } = world;
  const { acks } = books;
  const forgot = hasForgotten(books);
  for (const order of ledger.rows<OrderRow>('orders')) {
    if (order.state === 'rejected') world.violate(`2: order ${name(order.id)} did not fit`);
  }
  const first = new Map<string, Ack>();
  for (const ack of acks) {
    const order = ledger.row<OrderRow>('orders', ack.order_id);
    if (!order && !forgot) world.violate(`2: order ${name(ack.order_id)} was acknowledged and is not there`);
    if (
      order &&
      (order.total !== ack.total || order.buyer !== ack.buyer) &&
      !wasTakenAgain(world, books, ack)
    )
      world.violate(`2: order ${name(ack.order_id)} is another one than was acknowledged`);
    const key = `${ack.buyer} ${ack.key}`;
    const known = first.get(key);
    if (!known) first.set(key, ack);
    else if (known.told !== ack.told && !forgot)
      world.violate(`3: ${key} was told ${known.told} and ${ack.told}`);
  }
  const takes = new Map<string, number>();
  for (const event of world.taken) {
    if (event.kind === 'taken') takes.set(event.id, (takes.get(event.id) ?? 0) + 1);
  }
  const ids = new Set(ledger.rows<OrderRow>('orders').map(({ id }) => requestOf(id)));
  for (const [id, count] of takes) {
    if (forgot) continue;
    if (count > 1) world.violate(`3: request ${short(id)} took ${count} times`);
    if (!ids.has(id)) world.violate(`2: request ${short(id)} took and has no order`);
  }
}

/** 1 and 5, and that nothing was made up: stock by the deeds of operators and buyers alone. */
function judgeStock(world: World, books: Books): void {
  const { ledger } = world;
  const sale = ledger.row<SaleRow>('sales', SALE_NO);
  const cursor = ledger.row<CursorRow>('cursors', SALE_NO);
  if (!sale || !cursor) return;
  const tag = `st:{${sale.tenant}:${sale.id}}:g${cursor.generation}`;
  const available = readHash(world.redis.keys(), `${tag}:available`);
  const held = readHash(world.redis.keys(), `${tag}:held`);
  const movements = ledger.rows<MovementRow>('movements');
  const reduced = new Map<string, number>();
  for (const event of world.taken) {
    if (event.kind !== 'reduced') continue;
    for (const { sku, qty } of event.lines) reduced.set(sku, (reduced.get(sku) ?? 0) + qty);
  }
  for (const sku of ledger.rows<SkuRow>('skus')) {
    if (Number(available.get(sku.sku)) !== sku.total - sku.reserved - sku.sold)
      world.violate(
        `1: Redis has ${available.get(sku.sku)} ${sku.sku}, the ledger ${sku.total}-${sku.reserved}-${sku.sold}`,
      );
    if (Number(held.get(sku.sku)) !== sku.reserved)
      world.violate(`1: Redis holds ${held.get(sku.sku)} ${sku.sku}, the ledger ${sku.reserved}`);
    let topped = 0;
    for (const m of movements) if (m.order_id === null && m.sku === sku.sku) topped += m.to_available;
    const total = (books.initial.get(sku.sku) ?? 0) + topped - (reduced.get(sku.sku) ?? 0);
    if (!hasForgotten(books) && sku.total !== total)
      world.violate(`1: ${sku.sku} has a total of ${sku.total} instead of ${total}`);
    let sold = 0;
    for (const order of ledger.rows<OrderRow>('orders')) {
      const keeps = SOLD.includes(order.state) || (order.state === 'refunded' && !order.restock);
      if (keeps) sold += unitsOf(world, order.id, sku.sku);
    }
    if (sold !== sku.sold) world.violate(`1: ${sku.sku}: ${sku.sold} sold, orders say ${sold}`);
    if (sold > sku.total) world.violate(`1: ${sku.sku}: ${sold} sold of ${sku.total}`);
  }
  for (const order of ledger.rows<OrderRow>('orders')) {
    for (const { sku, qty } of ledger.row<ItemsRow>('order_items', order.id)?.items ?? []) {
      let back = 0;
      for (const m of movements) {
        if (m.order_id === order.id && m.sku === sku && m.cause === 'released') back += m.to_available;
      }
      const due = releases(order) ? qty : 0;
      if (back !== due)
        world.violate(`5: ${back} ${sku} of order ${name(order.id)} (${order.state}) came back`);
    }
  }
}

function unitsOf(world: World, order_id: string, sku: string): number {
  const items = world.ledger.row<ItemsRow>('order_items', order_id)?.items ?? [];
  return items.reduce((sum, item) => sum + (item.sku === sku ? item.qty : 0), 0);
}

/** 4: goods or money back, and no authorization left hanging. */
function judgePayments(world: World): void {
  const { ledger } = world;
  const attempts = ledger.rows<AttemptLedgerRow>('attempts');
  const sale = ledger.row<SaleRow>('sales', SALE_NO);
  for (const order of ledger.rows<OrderRow>('orders')) {
    const own = new Set(attempts.filter((a) => a.order_id === order.id).map(({ id }) => id));
    const payments = world.provider.payments().filter(({ reference }) => own.has(reference));
    const net = payments.reduce((sum, p) => sum + p.captured - p.refunded, 0);
    const hanging = payments.filter(({ status }) => status === 'authorized' || status === 'pending');
    const rests = sale?.capture === 'on_shipment' && order.state === 'confirmed' && net === 0;
    if (hanging.length > (rests ? 1 : 0))
      world.violate(`4: a payment of order ${name(order.id)} (${order.state}) is left ${hanging[0].status}`);
    const given = ledger
      .rows<RefundLedgerRow>('refunds')
      .filter((r) => r.order_id === order.id && r.state === 'done')
      .reduce((sum, r) => sum + r.amount, 0);
    const due = SOLD.includes(order.state) ? order.total - given : 0;
    if (net !== due && !(rests && hanging.length === 1))
      world.violate(
        `4: order ${name(order.id)} (${order.state}) of ${order.total}: ${net} taken, ${due} due`,
      );
  }
}

/** 7: what Redis did, in its order. */
function judgeGate(world: World): void {
  const shut = (gate: string) => gate === 'paused' || gate === 'closed';
  let gate = world.ledger.row<SaleRow>('sales', SALE_NO)?.opens_at ? 'scheduled' : 'open';
  for (const event of world.taken) {
    if (event.kind === 'gate') gate = event.gate;
    if (event.kind === 'taken' && shut(gate))
      world.violate(`7: request ${short(event.id)} took although the sale was ${gate}`);
    if (event.kind === 'taken' && gate === 'scheduled' && event.early)
      world.violate(`7: request ${short(event.id)} took before the sale opened`);
  }
}

const hasForgotten = ({ forgot_ms }: Books): boolean => forgot_ms < Number.POSITIVE_INFINITY;

/** The request's hash, as Redis knows it, out of an order id. */
const requestOf = (order_id: string): string => Buffer.from(order_id, 'base64url').toString('latin1', 8);

const name = (order_id: string): string => order_id.slice(11, 17);
