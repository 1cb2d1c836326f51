import { describe, expect, it } from 'vitest';
import { createPace } from './pace.ts';

describe('the pace', () => {
  it('is what was let in and no longer waits, a millisecond', () => {
    const pace = createPace();
    let waiting = 0;
    for (let at = 0; at <= 500; at += 10) {
      pace.turn(at, at === 0 ? 0 : 100, waiting);
      waiting += 20;
    }
    // 100 came every 10 ms, and 20 of them still wait.
    expect(pace.per_ms()).toBeCloseTo(8, 0);
  });

  it('is that of the last second, whatever was before', () => {
    const pace = createPace();
    pace.turn(0, 0, 0);
    pace.turn(60_000, 1, 0);
    expect(pace.per_ms()).toBeLessThan(0.1);
    for (let at = 60_010; at <= 61_300; at += 10) pace.turn(at, 200, 0);
    expect(pace.per_ms()).toBeGreaterThan(18);
  });

  it('does not count those who wait as served', () => {
    const pace = createPace();
    for (let at = 0; at <= 500; at += 10) pace.turn(at, 50, at * 5);
    expect(pace.per_ms()).toBeLessThan(1);
  });
});
