/**
 * A supervised loop: steps follow one another, soon after work, ever slower while there is none, and a step that
 * fails is tried again. Ends when its signal does, after the step under way.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a step did: `more` work and there is more of it, `busy` work, `idle` nothing, `slow` nothing and nothing is expected soon. */
export type StepResult = 'more' | 'busy' | 'idle' | 'slow';

export type LoopOptions = {
  step: () => Promise<StepResult>;
  signal: AbortSignal;
  /** Told of a failed step; how long to wait before the next, ms. */
  onError: (error: unknown) => number;
  /** Pause after work that left nothing, ms: what comes meanwhile is done together. */
  busy_ms?: number;
  /** Longest pause while idle, ms: reached by doubling. */
  idle_ms_max?: number;
  slow_ms?: number;
  /** Resolves after `ms`, or as soon as the signal ends. */
  pause?: typeof pause;
};

/** Never rejects. */
export async function runLoop(options: LoopOptions): Promise<void> {
  const { step, signal, onError, busy_ms = 5, idle_ms_max = 100, slow_ms = 1_000 } = options;
  const wait = options.pause ?? pause;
  let idle_ms = busy_ms;
  // All loops of a process wait on one signal.
  setMaxListeners(0, signal);
  while (!signal.aborted) {
    let pause_ms: number;
    try {
      const result = await step();
      pause_ms = { more: 0, busy: busy_ms, idle: idle_ms, slow: slow_ms }[result];
      idle_ms = result === 'idle' ? Math.min(idle_ms * 2, idle_ms_max) : busy_ms;
    } catch (error) {
      pause_ms = onError(error);
    }
    // Even with more to do others get their turn.
    await wait(pause_ms, signal);
  }
}

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
