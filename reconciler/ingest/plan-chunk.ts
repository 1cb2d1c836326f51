/**
 * What a chunk of the stream becomes in the ledger: decided here, in entry order, against locked stock, and
 * written in bulk by write-chunk. Pure.
 *
 * - An order that fits is `reserved`. One that does not is `rejected`: Redis gave away what was not there. Its
 *   units do not come back, they never were; held and limit do. The sale is fenced.
 * - An order that the ledger has already is a replay that Redis had forgotten: it took stock twice, and the
 *   second take goes back by a movement.
 * - A reduce takes units out of `total`, as far as they are there; short of that the sale is fenced.
 */
import { createHash } from 'node:crypto';
import type { GatePosition } from '../../ledger/stream/insert-gates.ts';
import type { Movement } from '../../ledger/stream/insert-movements.ts';
import type { NewOrder } from '../../ledger/stream/insert-orders.ts';
import type { StockRow } from '../../ledger/stream/lock-stock.ts';
import type { StockChange } from '../../ledger/stream/update-stock.ts';
import type { StreamEntry, StreamOrder } from '../../lua/entries.ts';
import type { LastingReason } from '../fence-reasons.ts';

export type ChunkPlan = {
  seq: number;
  digest: Buffer;
  chain: Buffer;
  applied_n: number;
  /** Highest gate version among the entries, null if none sets the gate. */
  gate_version: number | null;
  /** From which position on the gate stands how. */
  gates: GatePosition[];
  fenced_reason: LastingReason | null;
  orders: NewOrder[];
  movements: Movement[];
  stock: StockChange[];
  /** Answers to operators' reduce requests. */
  answers: { key: string; answer: { items: { sku: string; qty: number }[] } }[];
  /** Reserved orders of the checkout road: their payment begins. */
  to_authorize: string[];
  rejected: number;
  replayed: number;
};

export type ChunkContext = {
  /** Redis clock at the moment the chunk was read, ms. */
  now_ms: number;
  /** Every hold has this left at least, or its whole length if that is less, ms. */
  grace_ms: number;
  /** Chain of digests up to the cursor. */
  chain: Buffer;
  /** Locked rows of the SKUs that the chunk names. */
  stock: readonly StockRow[];
  /** Ids of the chunk's orders that the ledger has already. */
  known: ReadonlySet<string>;
  /** Drained before a rebuild: Redis gets its numbers from the ledger, and no movement is owed to it. */
  given_up?: boolean;
  /** Keys of reduces that the ledger has carried out: read again from a memory that is given up, they count once. */
  answered?: ReadonlySet<string>;
};

/** `entries` follow one another without a gap; at least one. */
export function planChunk(entries: readonly StreamEntry[], context: ChunkContext): ChunkPlan {
  const stock = new Map(context.stock.map((row) => [row.sku, { ...row, ...NO_CHANGE }]));
  const known = new Set(context.known);
  const last = entries[entries.length - 1];
  const plan: ChunkPlan = {
    seq: last.seq,
    digest: last.digest,
    chain: context.chain,
    applied_n: last.applied_n,
    gate_version: null,
    gates: [],
    fenced_reason: null,
    orders: [],
    movements: [],
    stock: [],
    answers: [],
    to_authorize: [],
    rejected: 0,
    replayed: 0,
  };
  for (const entry of entries) {
    for (const order of entry.orders) {
      if (known.has(order.order_id)) {
        plan.replayed += 1;
        // A memory that is given up is not told what it took twice.
        if (!context.given_up) plan.movements.push(...takeBack(order, stock, 'all'));
        continue;
      }
      known.add(order.order_id);
      const state = reserve(order, stock) ? 'reserved' : 'rejected';
      plan.orders.push(newOrder(order, state, entry.seq, context));
      if (state === 'rejected') {
        plan.rejected += 1;
        plan.fenced_reason ??= 'order_did_not_fit';
        plan.movements.push(...takeBack(order, stock, 'held'));
      } else if (order.road === 'checkout') {
        plan.to_authorize.push(order.order_id);
      }
    }
    if (entry.reduce && !context.answered?.has(entry.reduce.request_id)) {
      if (!reduce(entry.reduce.taken, stock)) plan.fenced_reason ??= 'reduce_did_not_fit';
      plan.answers.push({ key: entry.reduce.request_id, answer: { items: entry.reduce.taken } });
    }
    if (entry.gate) {
      plan.gate_version = Math.max(plan.gate_version ?? 0, entry.gate.version);
      plan.gates.push({ seq: entry.seq, at_ms: entry.at_ms, ...entry.gate });
    }
    for (const told of entry.stock) {
      const row = stock.get(told.sku);
      if (row) Object.assign(row, { told_available: told.available, told_held: told.held });
    }
    plan.chain = chainDigest(plan.chain, entry.digest);
  }
  plan.stock = [...stock.values()].map(({ sku, newly_reserved, taken, told_available, told_held }) => ({
    sku,
    reserved: newly_reserved,
    taken,
    told_available,
    told_held,
  }));
  return plan;
}

/** The chain after an entry: SHA-256 over the chain before it and its digest. */
export function chainDigest(chain: Buffer, digest: Buffer): Buffer {
  return createHash('sha256').update(chain).update(digest).digest();
}

const NO_CHANGE = {
  newly_reserved: 0,
  taken: 0,
  told_available: null as number | null,
  told_held: null as number | null,
};

type Counters = Map<string, StockRow & typeof NO_CHANGE>;

/** All lines or nothing. Lines of one SKU count together. */
function reserve(order: StreamOrder, stock: Counters): boolean {
  const taken: { row: StockRow & typeof NO_CHANGE; qty: number }[] = [];
  for (const { sku, qty } of order.lines) {
    const row = stock.get(sku);
    if (!row || row.total - row.reserved - row.sold < qty) {
      for (const undo of taken) {
        undo.row.reserved -= undo.qty;
        undo.row.newly_reserved -= undo.qty;
      }
      return false;
    }
    row.reserved += qty;
    row.newly_reserved += qty;
    taken.push({ row, qty });
  }
  return true;
}

function reduce(taken: readonly { sku: string; qty: number }[], stock: Counters): boolean {
  let fits = true;
  for (const { sku, qty } of taken) {
    const row = stock.get(sku);
    const there = row ? Math.min(qty, row.total - row.reserved - row.sold) : 0;
    if (row) {
      row.total -= there;
      row.taken += there;
    }
    fits &&= there === qty;
  }
  return fits;
}

/** Movements that undo what Redis counted for an order: `held` leaves the units gone. */
function takeBack(order: StreamOrder, stock: Counters, what: 'all' | 'held'): Movement[] {
  return order.lines
    .filter((line) => stock.has(line.sku))
    .map((line, i) => ({
      order_id: order.order_id,
      sku: line.sku,
      to_available: what === 'all' ? line.qty : 0,
      from_held: line.qty,
      buyer_hash: i === 0 && order.limit_units > 0 ? order.buyer_hash : null,
      buyer_units: i === 0 ? order.limit_units : 0,
      cause: what === 'all' ? ('replayed' as const) : ('rejected' as const),
    }));
}

function newOrder(
  order: StreamOrder,
  state: NewOrder['state'],
  seq: number,
  context: ChunkContext,
): NewOrder {
  const hold_ms = order.expires_at_ms - order.reserved_at_ms;
  const left_ms = order.expires_at_ms - context.now_ms;
  // Field by field: spreading costs as much as planning does.
  return {
    order_id: order.order_id,
    state,
    cause: state === 'rejected' ? 'did_not_fit' : order.road,
    buyer: order.buyer,
    buyer_hash: order.buyer_hash,
    fingerprint: order.fingerprint,
    road: order.road,
    amounts: order.amounts,
    lines: order.lines,
    payment_method: order.payment_method,
    shipping_address: order.shipping_address,
    contact: order.contact,
    limit_units: order.limit_units,
    reserved_at_ms: order.reserved_at_ms,
    expires_at_ms: order.expires_at_ms,
    left_ms: Math.max(left_ms, Math.min(hold_ms, context.grace_ms)),
    seq,
  };
}
