/**
 * A dictionary of Redis that has as many entries as buckets doubles, and moves a bucket with each look into it until all are moved. A
 * reservation looks three times into each of its dictionaries (known? there? add), so for a third of the way to
 * the next doubling it also pays for moving. What it costs is measured in both phases; sizes of a factor of ten apart would lie anywhere.
 */
import type { Redis } from 'ioredis';
import { dayOf } from '../../domain/ids.ts';
import { bucketKey, saleKeys } from '../../lua/keys.ts';
import type { SaleToken } from '../../lua/scripts.ts';

export type Phase = 'settled' | 'growing';

/** Part of the reservations that meet a dictionary while it moves. */
export const GROWING_SHARE = 1 / 3;

/** How many reservations live when a phase begins that a sale of about `live` is to be measured in. */
export function beginOf(phase: Phase, live: number): number {
  return phase === 'settled' ? live : 2 ** Math.floor(Math.log2(live));
}

/** How many may come before the phase is over. */
export function roomOf(phase: Phase, begin: number): number {
  if (phase === 'growing') return Math.floor(begin * GROWING_SHARE);
  return 2 ** (Math.floor(Math.log2(begin)) + 1) - begin;
}

const LOOKS = 1_000;
const LOOK = `
  local nobody = {}
  for i = 1, ${LOOKS} do nobody[i] = 'nobody' end
  for i = 1, tonumber(ARGV[1]) do
    for _, key in ipairs(KEYS) do redis.call('HMGET', key, unpack(nobody)) end
  end`;
const LOOKS_STEP = 50;

/** Looks until everything is moved: as often as there are entries. */
export async function settle(redis: Redis, sale: SaleToken, live: number): Promise<void> {
  const keys = [bucketKey(sale, dayOf(Date.now())), saleKeys(sale).buyers];
  for (let looked = 0; looked < live; looked += LOOKS * LOOKS_STEP) {
    await redis.eval(LOOK, keys.length, ...keys, LOOKS_STEP);
  }
}
