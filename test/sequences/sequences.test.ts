/** Random histories against real stores. More of them: `npm run sequences`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase } from '../support/postgres.ts';
import { checkSequences, describeFailure } from './check.ts';
import { createWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld({ database: testDatabase });
});
afterAll(() => world.close());

const RUNS = Number(process.env.SEQUENCES ?? 500);
const SEED = Number(process.env.SEQUENCES_SEED ?? 20_261_121);
/** On a machine that is too busy for all of them, those that were run count, and it is said how many. */
const BEGIN_FOR_MS = 480_000;

test(`${RUNS} sequences of commands: all seven invariants hold through crashes, pauses, restarts and lost memories`, async () => {
  const checked = await checkSequences(world, { runs: RUNS, seed: SEED, time_ms_max: BEGIN_FOR_MS });
  expect(describeFailure(checked)).toBe('nothing broke');
  if (checked.runs < RUNS)
    console.warn(`ONLY ${checked.runs} of ${RUNS} sequences in ${BEGIN_FOR_MS / 1000} s`);
  if (process.env.SEQUENCES_COUNTS) console.log(checked.counts);
}, 900_000);
