/**
 * A process that simulates seeds, one after another: `worker.ts FROM COUNT [--trace]`. A line of JSON for every seed that
 * fails, for what was done now and then, and at the end. In a process of its own, because time in it is virtual.
 */
import { installVirtualTime } from './core/virtual-time.ts';
import { type Simulated, simulate } from './simulate.ts';

/** What a number of seeds came to. */
export type Tally = {
  seeds: number;
  failed: number;
  steps: number;
  virtual_s: number;
  orders: number;
  acks: number;
  rebuilds: number;
  faults: Record<string, number>;
  /** Of all histories together. */
  hash: number;
};

export type WorkerLine =
  | { tally: Tally }
  | { failed: Pick<Simulated, 'seed' | 'violations' | 'trace' | 'hash'> };

const TELL_EVERY = 50;

export function emptyTally(): Tally {
  return {
    seeds: 0,
    failed: 0,
    steps: 0,
    virtual_s: 0,
    orders: 0,
    acks: 0,
    rebuilds: 0,
    faults: {},
    hash: 0,
  };
}

function add(tally: Tally, result: Simulated): void {
  tally.seeds += 1;
  tally.failed += result.ok ? 0 : 1;
  tally.steps += result.steps;
  tally.virtual_s += result.virtual_ms / 1_000;
  tally.orders += result.orders;
  tally.acks += result.acks;
  tally.rebuilds += result.rebuilds;
  for (const { fault } of result.faults) tally.faults[fault] = (tally.faults[fault] ?? 0) + 1;
  // The order of seeds does not count: several workers share them.
  tally.hash = (tally.hash + Math.imul(Number.parseInt(result.hash, 16), result.seed | 1)) >>> 0;
}

async function main(): Promise<void> {
  const [from, count] = process.argv.slice(2, 4).map(Number);
  const trace = process.argv.includes('--trace');
  const tell = (line: WorkerLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
  process.on('unhandledRejection', (error) => {
    console.error(error);
    process.exit(1);
  });
  installVirtualTime();
  let tally = emptyTally();
  for (let seed = from; seed < from + count; seed++) {
    const result = await simulate(seed, { trace });
    add(tally, result);
    if (!result.ok || trace) {
      const { violations, hash } = result;
      tell({ failed: { seed, violations, hash, trace: result.trace } });
    }
    if (tally.seeds === TELL_EVERY || seed === from + count - 1) {
      tell({ tally });
      tally = emptyTally();
    }
  }
  // What is still under way in worlds that have ended never ends.
  process.stdout.write('', () => process.exit(0));
}

if (process.argv[1]?.endsWith('worker.ts')) await main();
