/** Runs many sequences, drawn by fast-check from a seed; what breaks is shrunk to the few commands that matter. */
import fc from 'fast-check';
import type { Command } from './commands.ts';
import { type Counts, runSequence } from './run.ts';
import { histories } from './stories.ts';
import type { World } from './world.ts';

export type CheckOptions = {
  runs: number;
  seed: number;
  /** Of a failure, to see it again. */
  path?: string;
  /** Stops shrinking after so long, ms. */
  shrink_ms_max?: number;
  /** No new one is begun after so long, ms. */
  time_ms_max?: number;
  progress?: (done: number) => void;
};

export type Checked = { runs: number; seed: number; counts: Counts; failure?: Failure };
export type Failure = {
  path: string;
  what: string;
  first: string;
  first_commands: readonly Command[];
  commands: readonly Command[];
  shrinks: number;
};

export const COMMANDS_MAX = 36;

export async function checkSequences(world: World, options: CheckOptions): Promise<Checked> {
  const { runs, seed, path, progress, time_ms_max, shrink_ms_max = 120_000 } = options;
  const counts: Counts = {};
  let done = 0;
  let failed_at: number | undefined;
  let first = '';
  let first_commands: readonly Command[] = [];
  const property = fc.asyncProperty(histories(COMMANDS_MAX), async (sequence) => {
    if (failed_at !== undefined && Date.now() - failed_at > shrink_ms_max) return;
    try {
      await runSequence(world, sequence, counts);
      progress?.(++done);
    } catch (error) {
      if (failed_at === undefined) first_commands = sequence;
      failed_at ??= Date.now();
      first ||= error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw error;
    }
  });
  const result = await fc.check(property, {
    ...{ numRuns: runs, seed, endOnFailure: shrink_ms_max === 0 },
    ...(path !== undefined && { path }),
    ...(time_ms_max !== undefined && { interruptAfterTimeLimit: time_ms_max }),
  });
  const checked = { runs: result.numRuns, seed, counts };
  if (!result.failed) return checked;
  const { counterexample, counterexamplePath, numShrinks, errorInstance } = result;
  const what = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return {
    ...checked,
    failure: {
      path: counterexamplePath ?? '',
      what,
      first,
      first_commands,
      commands: counterexample?.[0] ?? [],
      shrinks: numShrinks,
    },
  };
}

/** For people: what broke, after which commands, and how to see it again. */
export function describeFailure({ seed, failure }: Checked): string {
  if (!failure) return 'nothing broke';
  return [
    failure.what,
    '',
    `after ${failure.shrinks} shrinks, these commands do it:`,
    ...failure.commands.map((command, i) => `  ${i + 1}. ${JSON.stringify(command)}`),
    '',
    `first seen as: ${failure.first}`,
    `again: npm run sequences -- --seed ${seed} --path ${failure.path}`,
  ].join('\n');
}
