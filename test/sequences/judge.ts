/**
 * The invariants, over the ledger, Redis, the bank and what people were told: cheap ones after each command, all seven
 * when everything has come to rest. Each says what is wrong in one line.
 */
import type { Redis } from 'ioredis';
import { buyerHash, limitCounter } from '../../domain/ids.ts';
import { auditOrders, auditSale, type LiveStock, type SaleAudit } from '../../ledger/audit.ts';
import { followedSale } from '../../ledger/stream/cursor.ts';
import { saleKeys } from '../../lua/keys.ts';
import type { Pool } from '../../platform/postgres.ts';
import { placeOf } from '../../reconciler/sale-place.ts';
import { PRICE } from '../support/reconciler.ts';
import type { Bank } from './bank.ts';
import { BUYERS } from './commands.ts';
import { Broken, type Journal } from './journal.ts';
import { LIMIT, UNITS } from './shop.ts';

type Stores = { db: Pool; redis: Redis };

/** After each command: the books balance, no counter of Redis is below zero, no buyer above the limit. Returns what it read. */
export async function glance(
  { db, redis }: Stores,
  shop: { sale_no: number; tenant: string },
  journal: Journal,
): Promise<SaleAudit> {
  const audit = await auditSale(db, shop.sale_no, () => readCounters(redis, shop.tenant));
  if (audit.balanced === false) throw new Broken(`the books do not balance: ${JSON.stringify(audit)}`);
  const amnesia = journal.amnesia_epoch !== undefined;
  if (audit.fenced_reason !== null && !amnesia)
    throw new Broken(`closed without a cause: ${audit.fenced_reason}`);
  // An older copy may agree as it stands: what counts is that somebody has looked at it, and opened the sale.
  const opened = audit.live.kind === 'agrees' && audit.epoch > (journal.amnesia_epoch ?? 0);
  if (audit.fenced_reason === null && opened) journal.amnesia_epoch = undefined;
  return audit;
}

/** Of the generation that Redis itself says is in use. */
async function readCounters(redis: Redis, tenant: string): Promise<LiveStock | null> {
  const place = { tenant, sale: 'sale', generation: 0 };
  const [epoch, seq, generation] = await redis.hmget(saleKeys(place).record, 'epoch', 'seq', 'generation');
  if (epoch === null) return null;
  const k = saleKeys({ ...place, generation: Number(generation) });
  const [available, held, buyers] = await Promise.all([
    redis.hgetall(k.available),
    redis.hgetall(k.held),
    redis.hvals(k.buyers),
  ]);
  const below = [...Object.values(available), ...Object.values(held)].some((count) => Number(count) < 0);
  if (below) throw new Broken('a counter is below zero');
  if (buyers.some((count) => Number(count) < 0 || Number(count) > LIMIT))
    throw new Broken(`a buyer counts ${buyers.join()} units of ${LIMIT}`);
  return { epoch: Number(epoch), seq: Number(seq), available: counts(available), held: counts(held) };
}

function counts(hash: Record<string, string>): Map<string, number> {
  return new Map(Object.entries(hash).map(([sku, count]) => [sku, Number(count)]));
}

type Order = {
  id: string;
  state: string;
  buyer: string;
  total: number;
  seq: number;
  restock: boolean;
  limit_units: number;
  lines: { sku: string; qty: number; unit_price: number }[];
};

const GIVEN_BACK = ['expired', 'canceled', 'payment_failed'];
const SOLD = ['confirmed', 'shipped', 'delivered'];

const isBack = (order: Order): boolean => GIVEN_BACK.includes(order.state) || order.restock;

/** All seven, when nothing is under way any more. Replays are asked for by the caller. */
export async function judge(
  stores: Stores,
  shop: { sale_no: number; tenant: string },
  journal: Journal,
  bank: Bank,
): Promise<void> {
  const { db } = stores;
  const saleNo = shop.sale_no;
  const wrong: string[] = [];
  const audit = await glance(stores, shop, journal);
  if (audit.live.kind !== 'agrees') wrong.push(`Redis ${JSON.stringify(audit.live)}`);
  if (audit.fenced_reason !== null) wrong.push(`closed: ${audit.fenced_reason}`);
  const differ = await auditOrders(db, saleNo);
  if (differ.length > 0) wrong.push(`counters are not the sum of the orders: ${JSON.stringify(differ)}`);
  const orders = await ordersOf(db, saleNo);
  wrong.push(...kept(orders, journal), ...totals(audit, journal), ...(await gates(db, saleNo)));
  wrong.push(...(await movements(db, saleNo, orders)), ...(await limits(stores, saleNo, orders)));
  wrong.push(...(await money(bank, orders)));
  if (wrong.length > 0) throw new Broken(wrong.join('\n'));
}

async function ordersOf(db: Pool, saleNo: number): Promise<Order[]> {
  const { rows } = await db.query<Order>({
    text: `SELECT o.id, o.state, o.buyer, o.total, o.seq, o.restock, o.limit_units,
             (SELECT json_agg(json_build_object('sku', i.sku, 'qty', i.qty, 'unit_price', i.unit_price) ORDER BY i.line)
              FROM order_items i WHERE i.order_id = o.id) AS lines
           FROM orders o WHERE o.sale_no = $1 ORDER BY o.id`,
    values: [saleNo],
  });
  return rows;
}

/** 2: each acknowledged reservation is one order with the same id and amounts, and there is no other. */
function kept(orders: readonly Order[], journal: Journal): string[] {
  const wrong: string[] = [];
  const by_id = new Map(orders.map((order) => [order.id, order]));
  const told = new Map([...journal.told.values()].map((one) => [one.reservation.order_id, one]));
  for (const { reservation, may_be_lost, wish } of told.values()) {
    const order = by_id.get(reservation.order_id);
    if (!order) {
      if (!may_be_lost) wrong.push(`order ${reservation.order_id} of ${wish.buyer}/${wish.key} is lost`);
      continue;
    }
    const same =
      order.buyer === wish.buyer &&
      order.total === reservation.amounts.total &&
      JSON.stringify(order.lines.map(({ sku, qty, unit_price }) => [sku, qty, unit_price])) ===
        JSON.stringify(reservation.items.map(({ sku, qty, unit_price }) => [sku, qty, unit_price]));
    if (!same) wrong.push(`order ${order.id} is not what was told`);
  }
  for (const { id, state } of orders) {
    if (!told.has(id)) wrong.push(`nobody was told of order ${id}`);
    // What Redis gives away is there: the ledger never has to refuse.
    if (state === 'rejected') wrong.push(`order ${id} was rejected`);
  }
  return wrong;
}

/** What operators were told adds up to what the ledger has. */
function totals(audit: SaleAudit, journal: Journal): string[] {
  return audit.skus.flatMap(({ sku, total }) => {
    let [least, most] = [UNITS, UNITS];
    for (const { lines } of journal.added.values())
      for (const line of lines) if (line.sku === sku) [least, most] = [least + line.qty, most + line.qty];
    for (const { taken, may_be_lost } of journal.reduced.values()) {
      const qty = taken.find((line) => line.sku === sku)?.qty ?? 0;
      least -= qty;
      if (!may_be_lost) most -= qty;
    }
    return total >= least && total <= most ? [] : [`${sku}: total ${total}, not ${least} to ${most}`];
  });
}

/** 5: units come back once from each order that ends so, and from no other. */
async function movements(db: Pool, saleNo: number, orders: readonly Order[]): Promise<string[]> {
  const { rows } = await db.query<{ order_id: string; back: number; held: number; limit: number }>({
    text: `SELECT order_id, sum(to_available)::int AS back, sum(from_held)::int AS held, sum(buyer_units)::int AS "limit"
           FROM movements WHERE sale_no = $1 AND cause = 'released' GROUP BY order_id`,
    values: [saleNo],
  });
  const by_id = new Map(rows.map((row) => [row.order_id, row]));
  return orders.flatMap((order) => {
    const units = order.lines.reduce((sum, line) => sum + line.qty, 0);
    const { back = 0, held = 0, limit = 0 } = by_id.get(order.id) ?? {};
    const expected = isBack(order)
      ? [units, units, order.limit_units]
      : [0, SOLD.includes(order.state) || order.state === 'refunded' ? units : 0, 0];
    return [back, held, limit].join() === expected.join()
      ? []
      : [
          `order ${order.id} (${order.state}, ${units}): back, from held and limit ${[back, held, limit]}, not ${expected}`,
        ];
  });
}

/** 6: a buyer's counter in Redis is what the buyer holds and owns, and not above the limit. */
async function limits({ db, redis }: Stores, saleNo: number, orders: readonly Order[]): Promise<string[]> {
  const sale = await followedSale(db, saleNo);
  const counted = await Promise.all(
    BUYERS.map((buyer) =>
      redis.hgetBuffer(saleKeys(placeOf(sale)).buyers, limitCounter(buyerHash(sale.salt, buyer))),
    ),
  );
  return BUYERS.flatMap((buyer, i) => {
    const own = orders.filter((order) => order.buyer === buyer && !isBack(order));
    const units = own.reduce((sum, order) => sum + order.limit_units, 0);
    const count = Number(counted[i] ?? 0);
    return count === units && units <= LIMIT
      ? []
      : [`buyer ${buyer} has ${units} units, counted ${count}, limit ${LIMIT}`];
  });
}

/** 7: no order lies behind the entry that closed or paused the sale, and before the one that opened it again. */
async function gates(db: Pool, saleNo: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string; gate: string }>({
    text: `SELECT o.id, g.gate FROM orders o
           JOIN LATERAL (
             SELECT e.gate FROM sale_events e
             WHERE e.sale_no = o.sale_no AND e.kind = 'gate' AND e.seq <= o.seq ORDER BY e.seq DESC LIMIT 1
           ) AS g ON true
           WHERE o.sale_no = $1 AND g.gate <> 'open'`,
    values: [saleNo],
  });
  return rows.map(({ id, gate }) => `order ${id} was sold while the gate was ${gate}`);
}

/** 4: goods and money, or neither; nothing taken twice, nothing left hanging. */
async function money(bank: Bank, orders: readonly Order[]): Promise<string[]> {
  const attempts = await bank.attempts();
  return orders.flatMap((order) => {
    const own = attempts.filter((attempt) => attempt.order_id === order.id);
    const say = (what: string) => [`order ${order.id} (${order.state}): ${what}`];
    const captured = own.filter(({ id }) => bank.stateOf(id) === 'captured');
    const hanging = own.filter(({ id }) => ['pending', 'authorized'].includes(bank.stateOf(id)));
    if (captured.length > 1) return say('charged twice');
    const due = SOLD.includes(order.state) ? 1 : 0;
    if (captured.length !== due) return say(`${captured.length} captures, not ${due}`);
    if (hanging.length > 0 && !['reserved', 'authorized'].includes(order.state))
      return say('an authorization hangs');
    if (captured.some(({ amount }) => amount !== order.total)) return say('charged another amount');
    const units = order.lines.reduce((sum, line) => sum + line.qty, 0);
    return order.total === units * PRICE ? [] : say(`total ${order.total}`);
  });
}
