/** Seeds of the simulation, and that a seed is a history: the short version of `npm run sim`. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runSeeds, traceSeed } from './run.ts';

const SEEDS = Number(process.env.SIM_SEEDS ?? 2_000);
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

test(`nothing is violated in ${SEEDS} worlds`, { timeout: 600_000 }, async () => {
  const { tally, failed } = await runSeeds({ from: 1, seeds: SEEDS, workers: 1 });
  expect(failed).toEqual([]);
  expect(tally.seeds).toBe(SEEDS);
  // A world in which nobody buys anything proves nothing.
  expect(tally.orders).toBeGreaterThan(SEEDS);
  expect(tally.rebuilds).toBeGreaterThan(SEEDS / 20);
});

test('the same seed is the same history, in another process and after other seeds', {
  timeout: 120_000,
}, async () => {
  const [after_others, again] = await Promise.all([
    runSeeds({ from: 30, seeds: 4, workers: 1, trace: true }).then(({ failed }) => failed[3]),
    traceSeed(33),
  ]);
  expect(after_others.seed).toBe(33);
  expect(again.hash).toBe(after_others.hash);
  expect(again.trace).toEqual(after_others.trace);
  expect(again.trace.length).toBeGreaterThan(10);
});

test('the command says what it can do, and refuses what it can not', { timeout: 120_000 }, () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], { encoding: 'utf8' });
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--keep-going') });
  expect(run('--seeds', 'many')).toMatchObject({ status: 2, stdout: '' });
});
