/**
 * Reserves: prices the lines, names the request, sends it with its batch, and says in words what the script
 * decided.
 *
 * At a sell-out nearly everybody is refused, and what only a success needs (fingerprint, answer, order) would be made
 * for nothing. So a request for a SKU of which there was nothing when last heard goes as a question, without them: the
 * script decides it all the same, knows a retry all the same, and says when there is stock again (lua/reserve.lua, `w`);
 * then the request goes again, whole. What this engine remembers decides how a request travels, never its answer.
 */
import type { Redis } from 'ioredis';
import { DIGEST_BYTES } from '../../domain/digest.ts';
import { buyerHash, encodeOrderId, requestHash } from '../../domain/ids.ts';
import { RESERVE_DEADLINE_MS } from '../../domain/limits.ts';
import { mergeLines, priceOrder } from '../../domain/pricing.ts';
import type { PricedLine } from '../../domain/types.ts';
import { encodeOrderPayload } from '../../lua/order-payload.ts';
import { decodeRecord, encodeAnswer, fingerprintOf } from '../../lua/reservation-record.ts';
import { type Prepared, questionOf } from '../../lua/reserve-batch.ts';
import type { ReserveStatus } from '../../lua/scripts.ts';
import type { Sale } from '../sales/sale.ts';
import {
  type Batcher,
  type BatchObserver,
  type BatchOutcome,
  createBatcher,
  type PendingCount,
} from './batcher.ts';
import type { Reservation, Reserve, ReserveOutcome, ReserveRequest, ShortLine } from './port.ts';
import { createRedisClock, steady_ms } from './redis-clock.ts';

export type ReserveOptions = {
  redis: Redis;
  observe: BatchObserver;
  deadline_ms?: number;
  /** How prepared requests travel. Default: in batches. */
  batcher?: typeof createBatcher;
  /** Is handed a way to ask how many requests wait, and how long the oldest has. */
  watch?: (read: () => { count: number; oldest_ms: number }) => void;
};

/** Where a sale's requests go. */
type Counter = {
  batcher: Batcher;
  /** SKUs of which nothing was available when last heard. */
  empty: Set<string>;
};

export function createReserve(options: ReserveOptions): Reserve {
  const clock = createRedisClock();
  const pending: PendingCount = { value: 0 };
  const { deadline_ms = RESERVE_DEADLINE_MS } = options;
  const counters = new Map<Sale, Counter>();
  options.watch?.(() => {
    let oldest_ms = 0;
    for (const { batcher } of counters.values()) oldest_ms = Math.max(oldest_ms, batcher.oldest_ms?.() ?? 0);
    return { count: pending.value, oldest_ms };
  });

  function counterOf(sale: Sale): Counter {
    let counter = counters.get(sale);
    if (!counter) {
      const batcher = (options.batcher ?? createBatcher)({ ...options, sale, clock, pending });
      counter = { batcher, empty: new Set() };
      counters.set(sale, counter);
    }
    return counter;
  }

  return (request) => {
    const lines = pricedLines(request);
    if ('unknown' in lines) return Promise.resolve({ kind: 'unknown_sku', sku: lines.unknown });
    const counter = counterOf(request.sale);
    const named = nameOf(request, lines);
    const until_ms = steady_ms() + deadline_ms;
    const send = (asked: Prepared): Promise<ReserveOutcome> =>
      counter.batcher.submit(asked, until_ms).then((outcome) => {
        if (outcome.kind !== 'done') return outcome;
        const { status } = outcome;
        if (status === 'w') {
          for (const { sku } of lines) counter.empty.delete(sku);
          return send(whole(request, named));
        }
        const told = inWords(request, named, status, outcome);
        if ('short' in told) {
          for (const { sku, available } of told.short) if (available === 0) counter.empty.add(sku);
        }
        return told;
      });
    const hopeless = counter.empty.size > 0 && lines.some(({ sku }) => counter.empty.has(sku));
    return send(hopeless ? questionFrom(request, named) : whole(request, named));
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

/** What names a request: enough to find it. */
type Named = Pick<Prepared, 'id' | 'lines'>;

const NOBODY = Buffer.alloc(DIGEST_BYTES);

function nameOf({ sale, buyer, key }: ReserveRequest, lines: PricedLine[]): Named {
  return { id: requestHash(sale.salt, sale.tenant, sale.id, buyer, key), lines };
}

/** Without a limit a question is not about its buyer. */
function questionFrom({ sale, buyer }: ReserveRequest, { id, lines }: Named): Prepared {
  return questionOf({ id, buyer_hash: sale.limit > 0 ? buyerHash(sale.salt, buyer) : NOBODY, lines });
}

function whole(request: ReserveRequest, { id, lines }: Named): Prepared {
  const { sale, buyer, road, payment_method, shipping_address, contact } = request;
  const fingerprint = request.fingerprint();
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
    payload,
    answer: encodeAnswer(road, amounts, lines, positions),
  };
}

function inWords(
  { sale, fingerprint }: ReserveRequest,
  asked: Named,
  status: Exclude<ReserveStatus, 'w'>,
  { extras, reply }: BatchOutcome & { kind: 'done' },
): ReserveOutcome {
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
    case 'k':
      if (!fingerprint().equals(fingerprintOf(extras[1]))) return { kind: 'idempotency_key_reused' };
      return replayOf(sale, asked, extras);
    case 'r':
      return replayOf(sale, asked, extras);
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

function replayOf(sale: Sale, asked: Named, [day, record]: readonly Buffer[]): ReserveOutcome {
  return { kind: 'accepted', replayed: true, reservation: recorded(sale, asked.id, Number(day), record) };
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

function shortLines(asked: Named, available: Buffer): ShortLine[] {
  const counts = asked.lines.length === 1 ? [Number(available)] : available.toString().split(',').map(Number);
  const short: ShortLine[] = [];
  asked.lines.forEach((line, i) => {
    if (counts[i] < line.qty) short.push({ sku: line.sku, requested: line.qty, available: counts[i] });
  });
  return short;
}
