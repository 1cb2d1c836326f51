import { describe, expect, it } from 'vitest';
import { createPatience } from './patience.ts';

const PATIENCE_MS = 1_000;

function timed() {
  let now = 0;
  let tick: (() => void) | undefined;
  let every_ms = 0;
  const ended: number[] = [];
  const patience = createPatience<number>({
    patience_ms: PATIENCE_MS,
    end: (what) => ended.push(what),
    now_ms: () => now,
    every(ms, on_tick) {
      tick = on_tick;
      every_ms = ms;
      return () => {
        tick = undefined;
      };
    },
  });
  return {
    patience,
    ended,
    ticking: () => tick !== undefined,
    /** The most that were ended in one tick. */
    run(ms: number): number {
      let most = 0;
      for (const until = now + ms; now < until; ) {
        now += every_ms || ms;
        const before = ended.length;
        tick?.();
        most = Math.max(most, ended.length - before);
      }
      return most;
    },
  };
}

describe('patience', () => {
  it('ends what has made no progress, and nothing else', () => {
    const { patience, ended, run } = timed();
    for (const what of [1, 2, 3]) patience.wait(what);
    run(PATIENCE_MS / 2);
    patience.done(1);
    patience.wait(2);
    run(PATIENCE_MS / 2 + 20);
    expect(ended).toEqual([3]);
    run(PATIENCE_MS / 2);
    expect(ended).toEqual([3, 2]);
  });

  it('ends thousands a few at a time, whoever began first first', () => {
    const { patience, ended, run } = timed();
    for (let i = 0; i < 5_000; i++) patience.wait(i);
    expect(run(PATIENCE_MS - 20)).toBe(0);
    expect(run(2_000)).toBeLessThanOrEqual(50);
    expect(ended).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  });

  it('has nothing to do while nobody is waited for', () => {
    const { patience, run, ticking } = timed();
    patience.wait(1);
    expect(ticking()).toBe(true);
    run(2 * PATIENCE_MS);
    expect(ticking()).toBe(false);
    patience.wait(2);
    expect(ticking()).toBe(true);
    patience.stop();
    expect([ticking(), patience.count()]).toEqual([false, 0]);
  });

  it('what ends itself while it is being ended is no trouble', () => {
    const patience = createPatience<number>({
      patience_ms: 0,
      end: (what) => patience.done(what),
      now_ms: () => 0,
      every: (_ms, tick) => {
        queueMicrotask(tick);
        return () => {};
      },
    });
    for (let i = 0; i < 10; i++) patience.wait(i);
    return Promise.resolve().then(() => expect(patience.count()).toBe(0));
  });
});
