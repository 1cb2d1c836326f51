/** Costs at several sizes, measured in turn so that a busy moment of the machine falls on all of them; ratios of one round. */
import { type Spread, spread } from '../lab/spread.ts';
import type { Bar, StandResult } from '../scenarios/stand.ts';
import type { RedisCost } from './redis-load.ts';

export type Costs = { size: number; rounds: RedisCost[] };

/** Powers of ten from `least` on, and `most` itself. */
export function sizesUpTo(least: number, most: number): number[] {
  const sizes: number[] = [];
  for (let size = least; size < most; size *= 10) sizes.push(size);
  return [...sizes, most];
}

/** What the largest costs against the smallest, and all as curves. `of`: as in "SKUs"; `bar`: of the CPU's ratio. */
export function scaleResult(
  costs: readonly Costs[],
  { of, bar }: { of: string; bar?: Bar },
): Required<Pick<StandResult, 'figures' | 'curves'>> {
  const [smallest, largest] = [costs[0], costs.at(-1)];
  if (!smallest || !largest) throw new Error('nothing was measured');
  const ratioOf = (read: (cost: RedisCost) => number): Spread | undefined =>
    spread(largest.rounds.map((cost, i) => read(cost) / read(smallest.rounds[i] ?? cost)));
  const against = `at ${largest.size.toLocaleString('en')} ${of} against ${smallest.size.toLocaleString('en')}`;
  const cpu = ratioOf((cost) => cost.cpu_us);
  const script = ratioOf((cost) => cost.script_us);
  if (!cpu || !script) throw new Error('no round was measured');
  const line = (name: string, read: (cost: RedisCost) => number) => ({
    name,
    points: costs.map(({ size, rounds }) => ({ x: size, y: spread(rounds.map(read))?.median ?? 0 })),
  });
  return {
    figures: [
      {
        ...{ what: `Redis CPU of a reservation ${against}`, unit: 'times' },
        ...{ value: cpu.median, spread: cpu, ...(bar ? { bar } : {}) },
      },
      {
        ...{ what: `time in the script, by the clock, ${against}`, unit: 'times' },
        ...{ value: script.median, spread: script },
      },
    ],
    curves: [
      {
        ...{ title: `Redis CPU of a reservation by ${of}`, x: of, y: 'µs a reservation', log_x: true },
        lines: [
          line('Redis process', (cost) => cost.cpu_us),
          line('in the script, by the clock', (cost) => cost.script_us),
        ],
      },
    ],
  };
}
