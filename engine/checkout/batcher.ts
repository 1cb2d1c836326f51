/**
 * Gathers the reservations of one sale into batches. Self-clocking: what arrives while a batch is under way
 * forms the next one, so batches grow with the load and an idle engine adds no delay. At most
 * BATCHES_IN_FLIGHT_MAX are under way; a batch leaves at the end of the event-loop turn or when a
 * reply comes back.
 *
 * A batch without an answer is sent again, the same ids in the same order, until its deadline: the ids
 * make that harmless, and `not_after` makes sure that a copy still on the road takes nothing later.
 */
import type { Redis } from 'ioredis';
import { BATCHES_IN_FLIGHT_MAX, PENDING_RESERVATIONS_MAX } from '../../domain/limits.ts';
import { columns, type Prepared } from '../../lua/reserve-batch.ts';
import { type Refusal, type ReserveReply, type ReserveStatus, reserve } from '../../lua/scripts.ts';
import { RedisUnavailable, redisReady } from '../../platform/redis.ts';
import { adoptEpoch, type Sale } from '../sales/sale.ts';
import { batchSize } from './batch.ts';
import { type RedisClock, steady_ms } from './redis-clock.ts';

/** What became of one request: its status with its extras, or why there is none. */
export type BatchOutcome =
  | { kind: 'done'; status: ReserveStatus; extras: readonly Buffer[]; reply: ReserveReply }
  | { kind: 'unavailable' | 'sale_recovering' | 'overloaded' };

export type Batcher = {
  /** `until_ms`, by the steady clock: when the caller has given up. */
  submit(item: Prepared, until_ms: number): Promise<BatchOutcome>;
  /** How long the oldest that is in no batch yet has waited, ms; 0 if there is none. */
  oldest_ms?(): number;
};

/** Told of each batch; for metrics. */
export type BatchObserver = {
  batch(size: number, redis_seconds: number): void;
  pending(count: number): void;
  failed(error: unknown): void;
};

/** Requests waiting or under way in this process, all sales together. */
export type PendingCount = { value: number };

export type BatcherOptions = {
  redis: Redis;
  sale: Sale;
  clock: RedisClock;
  pending: PendingCount;
  observe: BatchObserver;
};

type Waiting = {
  item: Prepared;
  since_ms: number;
  until_ms: number;
  settle: (outcome: BatchOutcome) => void;
};

/** Extras that follow a status in the reply (see lua/reserve.lua). */
const EXTRAS_OF: Partial<Record<ReserveStatus, number>> = { r: 2, k: 2, l: 1, s: 1, h: 1 };
const RETRY_WAIT_MS = 20;

export function createBatcher(options: BatcherOptions): Batcher {
  const { redis, sale, clock, pending, observe } = options;
  let queue: Waiting[] = [];
  let in_flight = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || in_flight >= BATCHES_IN_FLIGHT_MAX) return;
    scheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    scheduled = false;
    while (queue.length > 0 && in_flight < BATCHES_IN_FLIGHT_MAX) {
      const size = batchSize(queue);
      const items = size === queue.length ? queue : queue.slice(0, size);
      queue = size === queue.length ? [] : queue.slice(size);
      in_flight += 1;
      void fly(items).finally(() => {
        in_flight -= 1;
        if (queue.length > 0) flush();
      });
    }
  }

  async function fly(items: Waiting[]): Promise<void> {
    let again: Waiting[] = [];
    try {
      const answer = await sendUntilAnswered(items);
      if (answer.kind === 'done') again = settleAll(items, answer);
      else for (const item of items) item.settle(answer);
    } catch (error) {
      // A script that fails has changed nothing; the sale goes on for others, and the operator hears of it.
      observe.failed(error);
      for (const item of items) item.settle({ kind: 'unavailable' });
    }
    if (again.length > 0) queue = again.concat(queue);
  }

  /** Settles what was decided; returns the requests whose time is not over although Redis, by a clock we did not know, said so. */
  function settleAll(items: readonly Waiting[], reply: ReserveReply): Waiting[] {
    const again: Waiting[] = [];
    let extra = 0;
    for (let i = 0; i < items.length; i++) {
      const status = reply.statuses[i] as ReserveStatus;
      const count = EXTRAS_OF[status] ?? 0;
      if (status === 't' && steady_ms() < items[i].until_ms) {
        again.push(items[i]);
      } else {
        items[i].settle({ kind: 'done', status, extras: reply.extras.slice(extra, extra + count), reply });
      }
      extra += count;
    }
    return again;
  }

  async function sendUntilAnswered(
    items: Waiting[],
  ): Promise<ReserveReply | { kind: 'unavailable' | 'sale_recovering' }> {
    const batch = columns(items.map(({ item }) => item));
    const until_ms = items[0].until_ms; // the oldest
    for (;;) {
      const sent_ms = steady_ms();
      const left_ms = until_ms - sent_ms;
      if (left_ms <= 0) return { kind: 'unavailable' };
      try {
        const now_ms = clock.now_ms();
        const answer = await reserve(redis, sale.token, batch, {
          now_ms,
          not_after_ms: Math.floor(now_ms + left_ms),
        });
        if (answer.kind === 'done') {
          clock.heard(answer.now_ms, sent_ms);
          observe.batch(items.length, (steady_ms() - sent_ms) / 1000);
          return answer;
        }
        if (!heed(answer, sent_ms)) return { kind: 'sale_recovering' };
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error;
        await waitForRedis(until_ms - steady_ms());
      }
    }
  }

  /** Takes in what a refusal told. Returns whether sending again can help. */
  function heed(refused: Refusal, sent_ms: number): boolean {
    if (refused.reason === 'clock' && refused.now_ms !== undefined) {
      clock.heard(refused.now_ms, sent_ms);
      return true;
    }
    if (refused.reason !== 'epoch') return false;
    adoptEpoch(sale, refused);
    return true;
  }

  async function waitForRedis(left_ms: number): Promise<void> {
    if (left_ms <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(RETRY_WAIT_MS, left_ms)));
    await redisReady(redis, Math.max(1, left_ms)).catch(() => undefined);
  }

  return {
    oldest_ms: () => (queue.length > 0 ? steady_ms() - queue[0].since_ms : 0),
    submit(item, until_ms) {
      if (pending.value >= PENDING_RESERVATIONS_MAX) return Promise.resolve({ kind: 'overloaded' });
      // Nobody new queues up for a Redis that is away: an answer at once is worth more.
      if (redis.status !== 'ready') return Promise.resolve({ kind: 'unavailable' });
      pending.value += 1;
      observe.pending(pending.value);
      return new Promise((resolve) => {
        const settle = (outcome: BatchOutcome) => {
          pending.value -= 1;
          observe.pending(pending.value);
          resolve(outcome);
        };
        queue.push({ item, since_ms: steady_ms(), until_ms, settle });
        schedule();
      });
    },
  };
}
