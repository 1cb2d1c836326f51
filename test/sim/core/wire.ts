/**
 * A connection between a process and a store: requests arrive in their order, and so do answers. What may happen to a
 * message: it takes a moment, it takes very long (and all behind it wait), it is lost on its way there, or its answer is
 * lost. A lost message breaks the connection, as TCP does; whether anything was carried out, nobody tells the caller.
 */
import type { Random } from './random.ts';
import type { Process, Scheduler } from './scheduler.ts';

/** Shares of messages that are struck. */
export type Weather = { lost_request: number; lost_reply: number; slow: number; slow_ms_max: number };

export const FAIR: Weather = { lost_request: 0, lost_reply: 0, slow: 0, slow_ms_max: 0 };

export type Wire = {
  /** `serve` runs at the store and answers once, when it likes. Never called: broken meanwhile. */
  request<T>(
    serve: (answer: (value: T) => void) => void,
    on_reply: (value: T) => void,
    on_lost: () => void,
  ): void;
  /** Both ends learn of it. */
  cut(why: string): void;
  alive(): boolean;
};

export type WireOptions = {
  scheduler: Scheduler;
  random: Random;
  process: Process;
  weather: () => Weather;
  /** The store's end is told. */
  on_cut: (why: string) => void;
  /** Told of what was struck. */
  note?: (what: string) => void;
};

const LATENCY_MS = [0.05, 1.5] as const;

export function createWire(options: WireOptions): Wire {
  const { scheduler, random, process, weather } = options;
  let alive = true;
  let there_at = 0;
  let back_at = 0;
  const waiting = new Set<() => void>();

  function cut(why: string): void {
    if (!alive) return;
    alive = false;
    options.note?.(why);
    options.on_cut(why);
    // The caller's end hears of it a moment later.
    for (const lost of waiting) scheduler.after(random.delay_ms(...LATENCY_MS), process, lost);
    waiting.clear();
  }

  function travel(from: number): number {
    const { slow, slow_ms_max } = weather();
    const takes =
      random.delay_ms(...LATENCY_MS) + (random.chance(slow) ? random.delay_ms(20, slow_ms_max) : 0);
    return Math.max(from + 1e-6, scheduler.now_ms() + takes);
  }

  return {
    cut,
    alive: () => alive,
    request(serve, on_reply, on_lost) {
      const { lost_request, lost_reply } = weather();
      const fate = random.next();
      waiting.add(on_lost);
      there_at = travel(there_at);
      scheduler.after(there_at - scheduler.now_ms(), undefined, () => {
        if (!alive) return;
        if (fate < lost_request) return cut('request lost');
        serve((value) => {
          if (!alive) return;
          if (fate >= 1 - lost_reply) return cut('reply lost');
          back_at = travel(back_at);
          scheduler.after(back_at - scheduler.now_ms(), process, () => {
            // A connection that broke meanwhile has told so.
            if (!waiting.delete(on_lost)) return;
            on_reply(value);
          });
        });
      });
    },
  };
}
