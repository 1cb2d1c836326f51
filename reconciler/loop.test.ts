import { describe, expect, test } from 'vitest';
import { runLoop, type StepResult } from './loop.ts';

/** Runs a loop over these results and tells the pauses after them, ms. */
async function pauses(results: (StepResult | Error)[]): Promise<number[]> {
  const ending = new AbortController();
  const told: number[] = [];
  await runLoop({
    signal: ending.signal,
    onError: () => 40,
    step: () => {
      const result = results[told.length];
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
    },
    pause: async (ms) => {
      told.push(ms);
      if (told.length === results.length) ending.abort();
    },
  });
  return told;
}

describe('a loop', () => {
  test('goes on at once while there is more, soon after work, ever slower without', async () => {
    const results: StepResult[] = [
      'more',
      'busy',
      'idle',
      'idle',
      'idle',
      'busy',
      'idle',
      'idle',
      'more',
      'idle',
    ];
    expect(await pauses(results)).toEqual([0, 5, 5, 10, 20, 5, 5, 10, 0, 5]);
  });

  test('waits no longer than its longest pause, and a second where nothing is expected', async () => {
    expect(await pauses(Array(7).fill('idle'))).toEqual([5, 10, 20, 40, 80, 100, 100]);
    expect(await pauses(['slow', 'idle'])).toEqual([1_000, 5]);
  });

  test('survives a step that fails', async () => {
    expect(await pauses([new Error('no'), 'idle'])).toEqual([40, 5]);
  });

  test('ends in the middle of a pause, but not of a step', async () => {
    const ending = new AbortController();
    let finished = false;
    const step = async (): Promise<StepResult> => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      finished = true;
      return 'slow';
    };
    const loop = runLoop({ step, signal: ending.signal, onError: () => 0, slow_ms: 60_000 });
    ending.abort();
    await loop;
    expect(finished).toBe(true);
  });
});
