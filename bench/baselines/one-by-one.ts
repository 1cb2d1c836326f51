/**
 * One EVALSHA a request, as most shops with a Lua script do it: the same script with a batch of one, ioredis gathering what is
 * sent in one turn of the event loop into one write (auto-pipelining).
 */
import { type Command, Redis } from 'ioredis';
import { RESERVE_DEADLINE_MS } from '../../domain/limits.ts';
import type { Batcher, BatcherOptions } from '../../engine/checkout/batcher.ts';
import { createReserve } from '../../engine/checkout/reserve.ts';
import { adoptEpoch } from '../../engine/sales/sale.ts';
import { columns } from '../../lua/reserve-batch.ts';
import { type ReserveStatus, reserve } from '../../lua/scripts.ts';

export function oneByOneReserve(redis_url: string): typeof createReserve {
  const redis = new Redis(redis_url, { enableAutoPipelining: true });
  // Only methods are gathered, and our calls go by `sendCommand`.
  const methods = redis as unknown as { evalshaBuffer(...args: unknown[]): Promise<unknown> };
  const gathered = {
    sendCommand: (command: Command) => methods.evalshaBuffer(...command.args),
    script: (load: 'LOAD', source: string) => redis.script(load, source),
  } as unknown as Redis;
  return (options) =>
    createReserve({ ...options, batcher: (parts) => oneByOne({ ...parts, redis: gathered }) });
}

function oneByOne({ redis, sale, clock, observe }: BatcherOptions): Batcher {
  return {
    async submit(item) {
      for (let tries = 0; tries < 3; tries++) {
        const now_ms = clock.now_ms();
        const not_after_ms = Math.floor(now_ms + RESERVE_DEADLINE_MS);
        const sent_ms = performance.now();
        const reply = await reserve(redis, sale.token, columns([item]), { now_ms, not_after_ms });
        if (reply.kind === 'done') {
          observe.batch(1, (performance.now() - sent_ms) / 1_000);
          return { kind: 'done', status: reply.statuses[0] as ReserveStatus, extras: reply.extras, reply };
        }
        if (reply.reason !== 'epoch') return { kind: 'sale_recovering' };
        adoptEpoch(sale, reply);
      }
      return { kind: 'unavailable' };
    },
  };
}
