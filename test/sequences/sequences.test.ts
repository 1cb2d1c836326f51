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

test(`${RUNS} sequences of commands: all seven invariants hold through crashes, pauses, restarts and lost memories`, async () => {
  const checked = await checkSequences(world, { runs: RUNS, seed: SEED });
  expect(describeFailure(checked)).toBe('nothing broke');
  if (process.env.SEQUENCES_COUNTS) console.log(checked.counts);
}, 900_000);
