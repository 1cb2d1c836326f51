/** Sales of any size on a Redis of its own, opened and filled through the project's scripts. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { dayOf } from '../../domain/ids.ts';
import { LOAD_ITEMS_MAX } from '../../domain/limits.ts';
import { priceOrder } from '../../domain/pricing.ts';
import { bucketKey, saleKeys } from '../../lua/keys.ts';
import { encodeAnswer } from '../../lua/reservation-record.ts';
import { load, loadItems, type SaleToken } from '../../lua/scripts.ts';
import { openVerified } from '../../lua/testing/sale.ts';
import { skuName } from '../lab/world.ts';

const FILL = readFileSync(new URL('./fill.lua', import.meta.url), 'utf8');
const FILL_STEP = 20_000;
const CALL_MS = 60_000;
const HOLD_MS = 3_600_000;
const QTY = 1_000_000_000;

/** A sale on sale now, of SKUs as skuName calls them. */
export async function openSale(redis: Redis, skus: number): Promise<SaleToken> {
  const token = { tenant: 'bench', sale: `s${randomBytes(4).toString('hex')}`, generation: 1, epoch: 1 };
  const route = randomBytes(6);
  for (let first = 0; first < skus; first += LOAD_ITEMS_MAX) {
    const items = Array.from({ length: Math.min(LOAD_ITEMS_MAX, skus - first) }, (_, i) => ({
      ...{ sku: skuName(first + i), position: first + i, name: `Bench ${first + i}` },
      ...{ unit_price: 100, qty: QTY },
    }));
    await loadItems(redis, token, items, CALL_MS);
  }
  const fields = {
    ...{ gate: 'open' as const, gate_version: 1, opens_at_ms: 0, closes_at_ms: 0, hold_ms: HOLD_MS },
    ...{ limit: 1_000, salt: randomBytes(32), route, currency: 'USD' },
  };
  await load(redis, token, fields, skus, CALL_MS);
  return { ...token, epoch: await openVerified(redis, token, route) };
}

/** Live reservations `from` to `to` (the first is 1), one unit of the first SKU and a buyer of its own each. */
export async function fillSale(redis: Redis, sale: SaleToken, from: number, to: number): Promise<void> {
  const keys = saleKeys(sale);
  const now_ms = Date.now();
  const stamp = Buffer.alloc(10);
  stamp.writeUIntBE(now_ms, 0, 6);
  stamp.writeUInt32BE(HOLD_MS, 6);
  const lines = [{ sku: skuName(0), qty: 1, unit_price: 100 }];
  const answer = encodeAnswer('checkout', priceOrder('USD', lines), lines, [0]);
  for (let first = from; first <= to; first += FILL_STEP) {
    const last = Math.min(first + FILL_STEP - 1, to);
    const bucket = bucketKey(sale, dayOf(now_ms));
    await redis.eval(FILL, 2, bucket, keys.buyers, first, last, stamp, answer);
  }
  const units = to - from + 1;
  await redis.hincrby(keys.available, skuName(0), -units);
  await redis.hincrby(keys.held, skuName(0), units);
}

/** What each of `reservations` takes, bytes, as MEMORY USAGE counts it field by field. */
export async function bytesOf(redis: Redis, sale: SaleToken, reservations: number) {
  const usage = async (key: string) => ((await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0) / reservations;
  const keys = saleKeys(sale);
  const today = dayOf(Date.now());
  return {
    record: (await usage(bucketKey(sale, today))) + (await usage(bucketKey(sale, today - 1))),
    counter: await usage(keys.buyers),
    stream: await usage(keys.stream),
  };
}

/** At once, on a Redis of redis-stand.ts. */
export async function dropSale(redis: Redis, sale: SaleToken): Promise<void> {
  await redis.del(
    ...Object.values(saleKeys(sale)),
    bucketKey(sale, dayOf(Date.now())),
    bucketKey(sale, dayOf(Date.now()) - 1),
  );
}
