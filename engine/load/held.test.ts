import { describe, expect, it } from 'vitest';
import { ADMIT_HELD_MS_MAX, ADMIT_REFUSALS_PER_MS_MIN, ADMIT_REFUSALS_SHARE } from '../../domain/limits.ts';
import { createHeld } from './held.ts';

/** A clock under our hands; `run` lets time pass and says how many have left since it was last asked. */
function timed(served_per_ms = 20) {
  let now = 0;
  let left = 0;
  const due: { at_ms: number; done: () => void }[] = [];
  const held = createHeld({
    served_per_ms: () => served_per_ms,
    now_ms: () => now,
    after: (ms, done) => void due.push({ at_ms: now + ms, done }),
  });
  return {
    held,
    come(count: number) {
      for (let i = 0; i < count; i++) {
        void held.wait().then(() => {
          left += 1;
        });
      }
    },
    async run(ms: number): Promise<number> {
      const until = now + ms;
      for (;;) {
        due.sort((a, b) => a.at_ms - b.at_ms);
        const next = due[0];
        if (!next || next.at_ms > until) break;
        due.shift();
        now = Math.max(now, next.at_ms);
        next.done();
      }
      now = until;
      await new Promise((resolve) => setImmediate(resolve));
      const gone = left;
      left = 0;
      return gone;
    },
  };
}

describe('refusals that wait', () => {
  it('leave at once while they are few, but never in the same turn', async () => {
    const { held, come, run } = timed();
    await run(1_000);
    come(10);
    await new Promise((resolve) => setImmediate(resolve));
    expect(held.count()).toBe(10);
    expect(await run(1)).toBe(10);
    expect(held.count()).toBe(0);
  });

  it.each([
    ['at a part of the pace of the others', 20, 20 * ADMIT_REFUSALS_SHARE],
    ['but not at none where nobody is served', 0, ADMIT_REFUSALS_PER_MS_MIN],
  ])('leave while they are many %s', async (_how, served_per_ms, per_ms) => {
    const { come, run } = timed(served_per_ms);
    come(2_000);
    for (let i = 0; i < 3; i++) {
      const gone = await run(100);
      expect(gone).toBeGreaterThan(60 * per_ms);
      expect(gone).toBeLessThan(140 * per_ms);
    }
  });

  it('wait no longer than they may, and whoever came first leaves first', async () => {
    const { held, come, run } = timed();
    come(20 * ADMIT_HELD_MS_MAX);
    await run(ADMIT_HELD_MS_MAX / 2);
    come(100);
    await run(ADMIT_HELD_MS_MAX / 2 + 10);
    expect(held.count()).toBe(100);
    expect(await run(ADMIT_HELD_MS_MAX / 2)).toBe(100);
  });

  it('a time without any saves up nothing for the next crowd', async () => {
    const { come, run } = timed();
    await run(60_000);
    come(2_000);
    expect(await run(20)).toBeLessThan(60 * 20 * ADMIT_REFUSALS_SHARE);
  });
});
