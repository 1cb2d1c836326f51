/** The bench, as briefly as it goes: results are there and the books in order. How fast anything was is no matter here. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { readResults } from '../../bench/report/results-file.ts';

const run = promisify(execFile);
const bootstrap = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));
const MOST_MS = 170_000;

const out = mkdtempSync(join(tmpdir(), 'stampede-bench-test-'));
afterEach(() => rmSync(out, { recursive: true, force: true }));

test('npm run bench measures the engine, a raw echo and a baseline, and checks the books of all', async () => {
  const args = ['bench', 'checkout', 'vs-fastify', '--quick', '--seconds', '1', '--out', out];
  await run(process.execPath, [bootstrap, ...args], { timeout: MOST_MS });

  const [checkout, baseline] = readResults(join(out, 'quick.json'));
  for (const measured of [checkout, baseline]) {
    if (measured?.kind !== 'scenario') throw new Error('a scenario is not among the results');
    const { result } = measured;
    expect(result.wrong).toEqual([]);
    expect(result.ratio?.median).toBeGreaterThan(0);
    expect(result.a.counts?.accepted).toBeGreaterThan(0);
    expect(result.a.counts).toMatchObject({ refused: 0, altered: 0, invalid: 0, failed: 0 });
    expect(Object.keys(result.a.cpu_us)).toEqual(['engine', 'redis', 'reconciler', 'postgres', 'sandbox']);
  }
  expect([checkout?.name, baseline?.name]).toEqual(['checkout', 'vs-fastify']);
  const { b } = baseline?.kind === 'scenario' ? baseline.result : {};
  expect(b?.counts).toMatchObject({ refused: 0, replayed: 0, failed: 0 });
  expect(b?.counts?.accepted).toBeGreaterThan(0);
});
