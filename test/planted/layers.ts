/** What may catch a bug: programs that end with 0 when nothing is wrong. Run in a copy of the tree that has the bug. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { REFUTED } from '../model/suite.ts';
import { type Bug, type Change, simulatedChange } from './bugs.ts';

export type Layer = {
  id: string;
  says: string;
  /** The program and its arguments; undefined: says nothing about this bug. */
  command(bug: Bug): readonly string[] | undefined;
  /** What is planted, if it is not the bug as it stands. */
  change?(bug: Bug): Change | undefined;
  /** What to run without any bug, to see that the layer is quiet then. */
  control(bugs: readonly Bug[]): Bug | undefined;
  /** Exit code that means "caught". */
  caught: number;
};

const vitest = (...paths: string[]) => [
  'node_modules/.bin/vitest',
  ...['run', '--project', 'unit', '--bail', '1', ...paths],
];
const tsx = (...args: string[]) => ['node_modules/.bin/tsx', ...args];

/** What a sequence goes through. */
const IN_SEQUENCES =
  /^(lua|reconciler\/(ingest|release|verify|rebuild)|ledger\/(stream|movements|rebuild|orders|payments))\//;

function twinsOf({ file }: Bug): readonly string[] {
  if (file.startsWith('lua/')) return ['lua/twin.test.ts', 'test/sim/redis/redis-twin.test.ts'];
  return IN_LEDGER_TWIN.test(file) ? ['test/sim/ledger/ledger-twin.test.ts'] : [];
}
const IN_LEDGER_TWIN = /^ledger\/(stream|movements|rebuild|orders|payments)\//;

export const LAYERS: readonly Layer[] = [
  {
    id: 'tests',
    says: 'the tests beside the code (examples, properties, contracts), those that the bug names',
    caught: 1,
    control: (bugs) => ({
      ...bugs[0],
      named: undefined,
      tests: [...new Set(bugs.flatMap(({ tests }) => tests))],
    }),
    command: (bug) => vitest(...bug.tests, ...(bug.named ? ['-t', bug.named] : [])),
  },
  {
    id: 'model',
    says: 'Spin refutes the model with the same mitigation taken out',
    caught: 0,
    // That nothing is refuted without one is what the model's own tests say.
    control: () => undefined,
    command: (bug) =>
      bug.model && REFUTED.some(({ id }) => id === bug.model)
        ? tsx('test/model/main.ts', '--only', bug.model)
        : undefined,
  },
  {
    id: 'twin',
    says: 'random calls: the scripts against their pure twin, scripts and statements against those of the simulation',
    caught: 1,
    control: (bugs) => bugs.find((bug) => twinsOf(bug).length > 0),
    command: (bug) => (twinsOf(bug).length > 0 ? vitest(...twinsOf(bug)) : undefined),
  },
  {
    id: 'sequences',
    says: '100 random sequences of commands on real stores',
    caught: 1,
    control: (bugs) => bugs.find(({ file }) => IN_SEQUENCES.test(file)),
    command: (bug) =>
      IN_SEQUENCES.test(bug.file)
        ? tsx('test/sequences/main.ts', '--runs', '100', '--seed', '11', '--no-shrink')
        : undefined,
  },
  {
    id: 'simulation',
    says: '400 seeds of the simulation; for scripts and SQL, which are simulated, the same is taken out of what stands for them',
    caught: 1,
    change: simulatedChange,
    control: (bugs) => bugs.find(simulatedChange),
    command: (bug) =>
      simulatedChange(bug) ? tsx('test/sim/main.ts', '--seeds', '400', '--from', '1') : undefined,
  },
];

export type Verdict = 'caught' | 'not caught' | 'no answer';

export const LAYER_TIMEOUT_MS = 420_000;

export type Answer = {
  verdict: Verdict;
  seconds: number;
  said: string;
  /** The first test that failed, or what a layer prints of what it found. */
  by: string | undefined;
};

/** `no answer`: it neither ended as one that found something nor as one that did not, or took too long. */
export function runLayer(layer: Layer, bug: Bug, folder: string): Promise<Answer | undefined> {
  const command = layer.command(bug);
  if (!command) return Promise.resolve(undefined);
  const began = performance.now();
  return new Promise((resolve) => {
    const [program, ...args] = command;
    const child = spawn(join(folder, program), args, { cwd: folder, detached: true });
    let said = '';
    const hear = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    // The group is asked to end, so that the stores it has started go with it.
    const timer = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGTERM'), LAYER_TIMEOUT_MS);
    child.on('close', (code) => {
      clearTimeout(timer);
      const seconds = Math.round((performance.now() - began) / 1000);
      const other = layer.caught === 1 ? 0 : 1;
      const verdict = code === layer.caught ? 'caught' : code === other ? 'not caught' : 'no answer';
      resolve({ verdict, seconds, said, by: verdict === 'caught' ? firstFailure(said) : undefined });
    });
  });
}

function firstFailure(said: string): string | undefined {
  const escaped = String.fromCharCode(27);
  const plain = said.replaceAll(new RegExp(`${escaped}\\[[0-9;]*m`, 'g'), '');
  return plain.match(/^ *FAIL +unit +(.+)$/m)?.[1]?.trim();
}
