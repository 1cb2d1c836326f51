/** What a reservation costs Redis: batches through reserve.lua as engines send them, and what Redis spent on them. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { BATCHES_IN_FLIGHT_MAX } from '../../domain/limits.ts';
import { type ReserveBatch, reserve, type SaleToken } from '../../lua/scripts.ts';
import { batchOf } from '../../lua/testing/sale.ts';
import { skuName } from '../lab/world.ts';

const CALL_MS = 30_000;
const DEADLINE_MS = 120_000;

export type RedisCost = {
  /** Of the whole process: sockets, script, AOF and fsync. */
  cpu_us: number;
  /** Inside of the script, as Redis counts it: by the clock, so others that want the CPU add to it. */
  script_us: number;
  seconds: number;
};

export type RedisLoad = { reservations: number; batch_size: number; skus: number; lines: number };

/** Distinct buyers, each a unit of `lines` SKUs drawn from `skus`. Made beforehand: only Redis is measured. */
export function makeBatches({ reservations, batch_size, skus, lines }: RedisLoad): ReserveBatch[] {
  const request = () => {
    const first = Math.floor(Math.random() * skus);
    return {
      ...{ id: randomBytes(16), fingerprint: randomBytes(16), buyer: randomBytes(16) },
      lines: Array.from({ length: lines }, (_, i) => ({ sku: skuName((first + i) % skus), qty: 1 })),
    };
  };
  return Array.from({ length: Math.ceil(reservations / batch_size) }, () =>
    batchOf(Array.from({ length: batch_size }, request)),
  );
}

/** Sends them over `engines`, each with as many batches under way as an engine has. Throws if one is not accepted. */
export async function sendBatches(
  redis: Redis,
  engines: readonly Redis[],
  sale: SaleToken,
  batches: readonly ReserveBatch[],
): Promise<RedisCost> {
  const waiting = batches.values();
  const reservations = batches.reduce((sum, batch) => sum + batch.answer_lengths.length, 0);
  await redis.config('RESETSTAT');
  const before = await cpuSeconds(redis);
  const started = performance.now();
  async function flight(engine: Redis): Promise<void> {
    for (const batch of waiting) {
      const now_ms = Date.now();
      const times = { now_ms, not_after_ms: now_ms + DEADLINE_MS };
      const reply = await reserve(engine, sale, batch, times, CALL_MS);
      if (reply.kind !== 'done' || /[^a]/.test(reply.statuses))
        throw new Error(`a reservation was not accepted: ${JSON.stringify(reply)}`);
    }
  }
  const flights = engines.flatMap((engine) =>
    Array.from({ length: BATCHES_IN_FLIGHT_MAX }, () => flight(engine)),
  );
  await Promise.all(flights);
  const seconds = (performance.now() - started) / 1_000;
  const cpu_us = (((await cpuSeconds(redis)) - before) * 1e6) / reservations;
  const stats = await redis.info('commandstats');
  const script_us = Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(stats)?.[1]) / reservations;
  return { cpu_us, script_us, seconds };
}

/** That Redis has used so far, main thread and I/O together. */
export async function cpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  return number(info, 'used_cpu_user') + number(info, 'used_cpu_sys');
}

export async function usedBytes(redis: Redis): Promise<number> {
  return number(await redis.info('memory'), 'used_memory');
}

/** What the data takes, without buffers of clients and of the AOF. */
export async function datasetBytes(redis: Redis): Promise<number> {
  return number(await redis.info('memory'), 'used_memory_dataset');
}

const number = (info: string, name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
