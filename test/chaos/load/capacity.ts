/**
 * Finds what this machine carries just now: the same load in steps, each half as high again as the one before, until answers or the
 * ledger no longer keep up. The last step that held is the capacity.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Load, type LoadOptions, startLoad } from './load.ts';

export type Capacity = {
  rate: number;
  steps: { rate: number; answered: number; p99_ms: number; held: boolean }[];
};

const FIRST_RATE = 60;
const STEP = 1.5;
const LEAST_RATE = 10;
/** Of what was sent in a step, so much must be answered when it ends (2% hang up) ... */
const ANSWERED_SHARE = 0.93;
/** ... and so quick. */
const P99_MS_MAX = 1_000;
const KINDS = ['fresh', 'retry', 'altered', 'abort', 'invalid'];

export async function findCapacity(
  options: Omit<LoadOptions, 'rate' | 'sales' | 'sale_ms' | 'name'> & {
    step_ms: number;
    rate_max: number;
    /** Acknowledged orders that the ledger does not have yet. */
    unsaved: () => Promise<number>;
    ended: (load: Load) => void;
  },
): Promise<Capacity> {
  const steps: Capacity['steps'] = [];

  async function holds(rate: number): Promise<boolean> {
    const load = startLoad({
      ...options,
      ...{ rate, sales: 1, sale_ms: 2 * options.step_ms, name: `step-${steps.length}` },
    });
    await load.serving(0, options.step_ms);
    await sleep(options.step_ms);
    const { counts } = load;
    const p99_ms = load.slowest(0.99);
    const sent = KINDS.reduce((all, name) => all + (counts[name] ?? 0), 0);
    const answers = Object.entries(counts).filter(([name]) => name.startsWith('status_'));
    const answered = answers.reduce((all, [, count]) => all + count, 0);
    const unsaved = await options.unsaved();
    const held = answered >= sent * ANSWERED_SHARE && unsaved <= rate / 2 && p99_ms <= P99_MS_MAX;
    steps.push({ rate: Math.round(rate), answered, p99_ms, held });
    await load.stop();
    options.ended(load);
    return held;
  }

  // Everything is new in the first one: it does not count.
  await holds(FIRST_RATE);
  let capacity = FIRST_RATE;
  while (capacity > LEAST_RATE && !(await holds(capacity))) capacity /= STEP;
  if (capacity < FIRST_RATE) return { rate: capacity, steps };
  for (let rate = capacity * STEP; rate <= options.rate_max && (await holds(rate)); rate *= STEP)
    capacity = rate;
  return { rate: capacity, steps };
}
