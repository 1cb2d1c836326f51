/**
 * Writes the next generation of a sale into Redis, beside the one in use: stock, catalog, what buyers have, and the
 * records of all requests of the replay window. In steps of a bounded size, several on their way; every step may be
 * repeated, and none does anything once the generation is in use or given up.
 */
import type { Redis } from 'ioredis';
import { dayOf, decodeOrderId, limitCounter, requestHash } from '../../domain/ids.ts';
import {
  RECORD_WINDOW_DAYS,
  STAGE_BYTES_MAX,
  STAGE_ROWS_MAX,
  STAGE_STEPS_IN_FLIGHT,
} from '../../domain/limits.ts';
import type { Road } from '../../domain/types.ts';
import {
  type AnsweredReduce,
  countOrders,
  readBuyers,
  readOrders,
  readReduces,
  type SealedOrder,
} from '../../ledger/rebuild/read-sealed.ts';
import type { SealedSale } from '../../ledger/rebuild/seal-sale.ts';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import { pack } from '../../lua/packing.ts';
import { type StageTarget, type SwitchOver, stage } from '../../lua/rebuild-scripts.ts';
import { encodeAnswer, encodeRecord } from '../../lua/reservation-record.ts';
import type { SaleToken } from '../../lua/scripts.ts';
import type { Queryable } from '../../platform/postgres.ts';
import { RedisUnavailable } from '../../platform/redis.ts';

const DAY_MS = 86_400_000;
/** Rows read from the ledger at once. */
const READ_ROWS = 2_000;
/** Tries of one step whose answer got lost. */
const TRIES = 3;

/** What was staged is not there any more: the attempt is over. */
export class StagingLost extends Error {
  constructor() {
    super('what was staged in Redis is gone');
    this.name = 'StagingLost';
  }
}

export type Staged = Pick<SwitchOver, 'counts' | 'days'>;

export type StageOptions = {
  redis: Redis;
  snapshot: Queryable;
  /** The generation to be, under its epoch. */
  token: SaleToken;
  sale: FollowedSale;
  sealed: SealedSale;
  days: readonly number[];
  onProgress: (rows: { rows_total: number; rows_staged: number }) => void;
};

/** The days whose records a script may be asked for, by the Redis clock, the oldest first. */
export function replayDays(now_ms: number): number[] {
  const today = dayOf(now_ms);
  return Array.from({ length: RECORD_WINDOW_DAYS }, (_, i) => today - RECORD_WINDOW_DAYS + 1 + i);
}

/** Throws StagingLost, RedisUnavailable. */
export async function stageSale(options: StageOptions): Promise<Staged> {
  const { redis, snapshot, token, sale, sealed, days } = options;
  const since_ms = days[0] * DAY_MS;
  const rows = { rows_total: 0, rows_staged: 0 };
  const records = new Map(days.map((day) => [day, 0]));
  const counts = { available: sealed.skus.length, held: sealed.skus.length, catalog: sealed.skus.length };

  const steps = createSteps(redis, token, (count) => {
    rows.rows_staged += count;
    options.onProgress({ ...rows });
  });
  rows.rows_total = 3 * sealed.skus.length + (await countOrders(snapshot, sale.sale_no, since_ms));
  await steps.add('available', sealed.skus.flatMap((s) => [s.sku, s.available])); // biome-ignore format: one line
  await steps.add('held', sealed.skus.flatMap((s) => [s.sku, s.held])); // biome-ignore format: one line
  await steps.add('catalog', sealed.skus.flatMap((s) => [s.sku, pack([s.position, s.name, s.unit_price])])); // biome-ignore format: one line

  let buyers = 0;
  if (sale.limit_per_buyer > 0) {
    for await (const piece of readBuyers(snapshot, sale.sale_no, READ_ROWS)) {
      buyers += piece.length;
      rows.rows_total += piece.length;
      await steps.add(
        'buyers',
        piece.flatMap((buyer) => [limitCounter(buyer.buyer_hash), buyer.units]),
      );
    }
  }

  const write = async (day: number, fields: Buffer[]) => {
    records.set(day, (records.get(day) ?? 0) + fields.length / 2);
    await steps.add({ day }, fields);
  };
  const answerOf = answers(sealed);
  for await (const piece of readOrders(snapshot, sale.sale_no, since_ms, READ_ROWS)) {
    const by_day = new Map<number, Buffer[]>();
    for (const order of piece) {
      const parts = decodeOrderId(order.id);
      // The day in the id is where the record lies. Older ones nobody is asked for any more.
      if (!parts || !records.has(parts.day)) continue;
      const fields = by_day.get(parts.day) ?? [];
      const { hashes, reserved_at_ms, hold_ms } = order;
      fields.push(parts.hash, encodeRecord({ hashes, reserved_at_ms, hold_ms, answer: answerOf(order) }));
      by_day.set(parts.day, fields);
    }
    for (const [day, fields] of by_day) await write(day, fields);
  }
  for (const reduce of await readReduces(snapshot, sale.sale_no, since_ms)) {
    const day = Math.min(Math.max(dayOf(reduce.created_at_ms), days[0]), days[days.length - 1]);
    await write(day, reduceRecord(sale, reduce));
  }
  await steps.done();
  return {
    counts: { ...counts, buyers },
    days: days.map((day) => ({ day, records: records.get(day) ?? 0 })),
  };
}

/** Makes the answer of an order as the engine made it (see lua/reservation-record.ts). */
function answers(sealed: SealedSale): (order: SealedOrder) => Buffer {
  const positions = new Map(sealed.skus.map((sku) => [sku.sku, sku.position]));
  return (order) => {
    const [road, discount, shipping, tax, ...flat] = order.answer.split(' ');
    const lines: { sku: string; qty: number; unit_price: number }[] = [];
    const places: number[] = [];
    for (let i = 0; i < flat.length; i += 3) {
      lines.push({ sku: flat[i], qty: Number(flat[i + 1]), unit_price: Number(flat[i + 2]) });
      places.push(positions.get(flat[i]) ?? -1);
    }
    const amounts = { discount: Number(discount), shipping: Number(shipping), tax: Number(tax) };
    return encodeAnswer(road as Road, amounts, lines, places);
  };
}

/** A request to take units out of sale, as reduce.lua keeps it: an engine may send it again. */
function reduceRecord(sale: FollowedSale, reduce: AnsweredReduce): [Buffer, Buffer] {
  const { salt, tenant, sale: id } = sale;
  const taken = reduce.answer.items.map((item) => item.qty);
  return [
    requestHash(salt, tenant, id, 'operator:reduce', reduce.key),
    Buffer.concat([reduce.fingerprint, pack(taken)]),
  ];
}

/** Where the step that begins at `from` ends: after at least one field, bounded in fields and bytes. */
export function endOfStep(fields: readonly (string | number | Buffer)[], from: number): number {
  const last = Math.min(fields.length, from + 2 * STAGE_ROWS_MAX);
  let bytes = 0;
  for (let at = from; at < last; at += 2) {
    bytes += sizeOf(fields[at]) + sizeOf(fields[at + 1]);
    if (bytes > STAGE_BYTES_MAX && at > from) return at;
  }
  return last;
}

const sizeOf = (part: string | number | Buffer): number =>
  typeof part === 'number' ? 8 : Buffer.byteLength(part);

/** Steps on their way, a bounded number at a time. The first failure ends all. */
function createSteps(redis: Redis, token: SaleToken, onStaged: (rows: number) => void) {
  const under_way = new Set<Promise<void>>();
  let failure: unknown;

  async function send(target: StageTarget, fields: readonly (string | number | Buffer)[]): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        if ((await stage(redis, token, target, fields)) === 'gone') throw new StagingLost();
        onStaged(fields.length / 2);
        return;
      } catch (error) {
        if (!(error instanceof RedisUnavailable) || tried === TRIES) throw error;
      }
    }
  }

  return {
    /** Resolves when there is room for more. */
    async add(target: StageTarget, fields: readonly (string | number | Buffer)[]): Promise<void> {
      for (let at = 0, end: number; at < fields.length; at = end) {
        end = endOfStep(fields, at);
        while (under_way.size >= STAGE_STEPS_IN_FLIGHT) await Promise.race(under_way);
        if (failure) throw failure;
        const step = send(target, fields.slice(at, end)).catch((error) => {
          failure ??= error;
        });
        const counted = step.finally(() => under_way.delete(counted));
        under_way.add(counted);
      }
    },
    async done(): Promise<void> {
      await Promise.all(under_way);
      if (failure) throw failure;
    },
  };
}
