/** Shares seeds among processes and gathers what they came to. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { emptyTally, type Tally, type WorkerLine } from './worker.ts';

export type Failed = Extract<WorkerLine, { failed: unknown }>['failed'];
export type SimulationRun = { tally: Tally; failed: Failed[] };

export type RunOptions = {
  from: number;
  seeds: number;
  workers: number;
  /** Goes on after a seed that failed. */
  keep_going?: boolean;
  trace?: boolean;
  onProgress?: (tally: Tally) => void;
  /** As soon as one is found: a long run need not end before it is looked into. */
  onFailed?: (failed: SimulationRun['failed'][number]) => void;
};

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** Seeds a process gets at once. */
const SHARE = 1_000;

/** Throws if a worker died otherwise than by a failing seed. */
export async function runSeeds(options: RunOptions): Promise<SimulationRun> {
  const { from, seeds, keep_going = false } = options;
  const run: SimulationRun = { tally: emptyTally(), failed: [] };
  let next = from;
  let ending = false;

  async function work(): Promise<void> {
    while (next < from + seeds && !ending) {
      const share = Math.min(SHARE, from + seeds - next, Math.ceil(seeds / options.workers));
      const begin = next;
      next += share;
      await runWorker(begin, share);
    }
  }

  async function runWorker(begin: number, share: number): Promise<void> {
    const args = [
      '--import',
      'tsx',
      WORKER,
      String(begin),
      String(share),
      ...(options.trace ? ['--trace'] : []),
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as WorkerLine;
      if ('failed' in line) {
        run.failed.push(line.failed);
        options.onFailed?.(line.failed);
        if (keep_going || options.trace) continue;
        ending = true;
        child.kill('SIGKILL');
      } else {
        merge(run.tally, line.tally);
        options.onProgress?.(run.tally);
      }
    }
    const code = await exited;
    if (code !== 0 && !ending)
      throw new Error(`seeds ${begin} to ${begin + share - 1}: the worker ended with ${code}`);
  }

  await Promise.all(Array.from({ length: options.workers }, work));
  return run;
}

function merge(all: Tally, part: Tally): void {
  for (const name of ['seeds', 'failed', 'steps', 'virtual_s', 'orders', 'acks', 'rebuilds'] as const)
    all[name] += part[name];
  for (const [fault, count] of Object.entries(part.faults))
    all.faults[fault] = (all.faults[fault] ?? 0) + count;
  all.hash = (all.hash + part.hash) >>> 0;
}

/** One seed again, with its trace. */
export async function traceSeed(seed: number): Promise<Failed> {
  const { failed } = await runSeeds({ from: seed, seeds: 1, workers: 1, trace: true });
  return failed[0];
}
