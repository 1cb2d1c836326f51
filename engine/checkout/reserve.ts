/**
 * Reserves: prices the lines, names the request, sends it with its batch, and says in words what the script
 * decided.
 */
import type { Redis } from 'ioredis';
import { buyerHash, encodeOrderId, requestHash } from '../../domain/ids.ts';
import { mergeLines, priceOrder } from '../../domain/pricing.ts';
import type { PricedLine } from '../../domain/types.ts';
import { encodeOrderPayload } from '../../lua/order-payload.ts';
import { decodeRecord, encodeAnswer } from '../../lua/reservation-record.ts';
import type { Prepared } from '../../lua/reserve-batch.ts';
import type { Sale } from '../sales/sale.ts';
import {
  type Batcher,
  type BatchObserver,
  type BatchOutcome,
  createBatcher,
  type PendingCount,
} from './batcher.ts';
import type { Reservation, Reserve, ReserveOutcome, ReserveRequest, ShortLine } from './port.ts';
import { createRedisClock } from './redis-clock.ts';

export type ReserveOptions = {
  redis: Redis;
  observe: BatchObserver;
  deadline_ms?: number;
  /** How prepared requests travel. Default: in batches. */
  batcher?: typeof createBatcher;
  /** Is handed a way to ask how many requests wait, and how long the oldest has. */
  watch?: (read: () => { count: number; oldest_ms: number }) => void;
};

export function createReserve(options: ReserveOptions): Reserve {
  const clock = createRedisClock();
  const pending: PendingCount = { value: 0 };
  const batchers = new Map<Sale, Batcher>();
  options.watch?.(() => {
    let oldest_ms = 0;
    for (const batcher of batchers.values()) oldest_ms = Math.max(oldest_ms, batcher.oldest_ms?.() ?? 0);
    return { count: pending.value, oldest_ms };
  });

  function batcherOf(sale: Sale): Batcher {
    let batcher = batchers.get(sale);
    if (!batcher) {
      batcher = (options.batcher ?? createBatcher)({ ...options, sale, clock, pending });
      batchers.set(sale, batcher);
    }
    return batcher;
  }

  return async (request) => {
    const lines = pricedLines(request);
    if ('unknown' in lines) return { kind: 'unknown_sku', sku: lines.unknown };
    const prepared = prepare(request, lines);
    const outcome = await batcherOf(request.sale).submit(prepared);
    return outcome.kind === 'done' ? inWords(request.sale, prepared, outcome) : outcome;
  };
}

function pricedLines(request: ReserveRequest): PricedLine[] | { unknown: string } {
  const priced: PricedLine[] = [];
  for (const { sku, qty } of mergeLines(request.lines)) {
    const item = request.sale.items.get(sku);
    if (!item) return { unknown: sku };
    priced.push({ sku, qty, unit_price: item.unit_price });
  }
  return priced;
}

function prepare(request: ReserveRequest, lines: PricedLine[]): Prepared {
  const { sale, buyer, key, fingerprint, road, payment_method, shipping_address, contact } = request;
  const id = requestHash(sale.salt, sale.tenant, sale.id, buyer, key);
  const buyer_hash = buyerHash(sale.salt, buyer);
  const amounts = priceOrder(sale.currency, lines);
  const positions: number[] = [];
  let units = 0;
  for (const line of lines) {
    positions.push(sale.items.get(line.sku)?.position ?? -1);
    units += line.qty;
  }
  const payload = encodeOrderPayload({
    hash: id,
    buyer,
    buyer_hash,
    fingerprint,
    road,
    limit_units: sale.limit > 0 ? units : 0,
    lines,
    amounts,
    payment_method,
    shipping_address,
    contact,
  });
  return {
    id,
    fingerprint,
    buyer_hash,
    lines,
    answer: encodeAnswer(road, amounts, lines, positions),
    payload,
  };
}

function inWords(sale: Sale, asked: Prepared, outcome: BatchOutcome & { kind: 'done' }): ReserveOutcome {
  const { status, extras, reply } = outcome;
  switch (status) {
    case 'a': {
      const reserved_at_ms = reply.now_ms;
      return {
        kind: 'accepted',
        replayed: false,
        reservation: {
          order_id: encodeOrderId({ route: sale.route, day: reply.today, hash: asked.id }),
          sale_id: sale.id,
          items: asked.lines,
          amounts: priceOrder(sale.currency, asked.lines),
          reserved_at_ms,
          expires_at_ms: reserved_at_ms + reply.hold_ms,
        },
      };
    }
    case 'r':
      return {
        kind: 'accepted',
        replayed: true,
        reservation: recorded(sale, asked.id, Number(extras[0]), extras[1]),
      };
    case 'm':
      return { kind: 'idempotency_key_reused' };
    case 'u':
      return { kind: 'unknown_sku', sku: asked.lines[0].sku };
    case 'n':
      return { kind: 'sale_not_open', opens_at_ms: sale.opens_at_ms };
    case 'c':
      return { kind: 'sale_closed' };
    case 'p':
      return { kind: 'sale_paused' };
    case 'l':
      return { kind: 'purchase_limit_reached', limit: reply.limit, held: Number(extras[0]) };
    case 's':
      return { kind: 'sold_out', short: shortLines(asked, extras[0]) };
    case 'h': {
      // The sweeper may be a moment late: never advise a time that has passed.
      const earliest_release_ms = Math.max(reply.earliest_ms, reply.now_ms + 1_000);
      return {
        kind: 'temporarily_held',
        short: shortLines(asked, extras[0]),
        earliest_release_ms,
        now_ms: reply.now_ms,
      };
    }
    case 't':
      return { kind: 'unavailable' };
  }
}

/** The reservation that a record tells of. `day` and `hash` are parts of its order id. */
export function recorded(sale: Sale, hash: Buffer, day: number, bytes: Buffer): Reservation {
  const record = decodeRecord(bytes, sale);
  return {
    order_id: encodeOrderId({ route: sale.route, day, hash }),
    sale_id: sale.id,
    items: record.lines,
    amounts: record.amounts,
    reserved_at_ms: record.reserved_at_ms,
    expires_at_ms: record.reserved_at_ms + record.hold_ms,
  };
}

function shortLines(asked: Prepared, available: Buffer): ShortLine[] {
  const counts = available.toString().split(',').map(Number);
  const short: ShortLine[] = [];
  asked.lines.forEach((line, i) => {
    if (counts[i] < line.qty) short.push({ sku: line.sku, requested: line.qty, available: counts[i] });
  });
  return short;
}
