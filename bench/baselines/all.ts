/** What people use today: each in the place of our batches to Redis, behind the very same front, and one whole shop without anything of ours. */
import type { createReserve } from '../../engine/checkout/reserve.ts';
import type { Pool } from '../../platform/postgres.ts';
import { reserveMicroBatched } from './micro-batched.ts';
import { reserveNaively } from './naive-redis.ts';
import { oneByOneReserve } from './one-by-one.ts';
import { reserveInPostgres } from './reserve-in-postgres.ts';
import { atomicUpdate, optimistic, selectForUpdate, skipLocked } from './take-stock.ts';

/** Behind the engine's own front. */
export const SAME_FRONT = [
  'evalsha-each',
  'naive-redis',
  'for-update',
  'optimistic',
  'atomic-update',
  'skip-locked',
  'micro-batched',
] as const;
export type SameFront = (typeof SAME_FRONT)[number];

/** `fastify`: fastify/server.ts. */
export const BASELINES = ['fastify', ...SAME_FRONT] as const;
export type Baseline = (typeof BASELINES)[number];

export const usesPostgres = (name: Baseline): boolean => name !== 'evalsha-each' && name !== 'naive-redis';

/** Connections to Postgres, or batches in flight, that each is tried with before it counts: its best is taken. */
export const POOL_SIZES: readonly number[] = [2, 4, 8, 16, 32, 64];

export type BaselineParts = { db: Pool; redis_url: string; pool_size: number };

export function createBaseline(
  name: SameFront,
  { db, redis_url, pool_size }: BaselineParts,
): typeof createReserve {
  switch (name) {
    case 'evalsha-each':
      return oneByOneReserve(redis_url);
    case 'naive-redis':
      return () => reserveNaively(redis_url);
    case 'for-update':
      return () => reserveInPostgres(db, selectForUpdate);
    case 'optimistic':
      return () => reserveInPostgres(db, optimistic);
    case 'atomic-update':
      return () => reserveInPostgres(db, atomicUpdate);
    case 'skip-locked':
      return () => reserveInPostgres(db, skipLocked);
    case 'micro-batched':
      return () => reserveMicroBatched(db, { batch: 256, in_flight: Math.max(2, pool_size / 4) });
  }
}
