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
/** Of what was sent in a step, so much must be answered when it ends. */
const ANSWERED_SHARE = 0.95;
/** And so quick. */
const P99_MS_MAX = 500;

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
  let capacity = FIRST_RATE;
  for (let rate = FIRST_RATE; ; rate = Math.min(rate * STEP, options.rate_max)) {
    const load = startLoad({
      ...options,
      rate,
      sales: 1,
      sale_ms: options.step_ms,
      name: `step-${steps.length}`,
    });
    await sleep(options.step_ms);
    const { counts } = load;
    const sum = (names: string[]) => names.reduce((all, name) => all + (counts[name] ?? 0), 0);
    const sent = sum(['fresh', 'retry', 'altered', 'abort', 'invalid']);
    const answers = Object.entries(counts).filter(
      ([name]) => name.startsWith('status_') || name === 'unanswered',
    );
    const answered = answers.reduce((all, [, count]) => all + count, 0);
    const unsaved = await options.unsaved();
    const offered = sent >= (rate * options.step_ms * 0.85) / 1_000;
    const p99_ms = load.slowest(0.99);
    const held = offered && answered >= sent * ANSWERED_SHARE && unsaved <= rate / 4 && p99_ms <= P99_MS_MAX;
    steps.push({ rate: Math.round(rate), answered, p99_ms, held });
    await load.stop();
    options.ended(load);
    if (!held) break;
    capacity = rate;
    if (rate >= options.rate_max) break;
  }
  return { rate: capacity, steps };
}
