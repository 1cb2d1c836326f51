import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeMachine } from '../lab/machine.ts';
import { type Measured, mergeResult, readResults, writeResult } from './results-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'stampede-results-'));
afterAll(() => rmSync(dir, { recursive: true }));

const machine = describeMachine();
const stand = (name: string, measured_at: string): Measured => ({
  ...{ name, what: name, measured_at, machine, settings: {} },
  ...{ kind: 'stand', result: { figures: [], wrong: [] } },
});

test('measuring one again replaces its entry alone, in its place', () => {
  const all = [stand('scale', '2026-01-01'), stand('memory', '2026-01-01')];
  const merged = mergeResult(all, stand('scale', '2026-02-02'));
  expect(merged.map(({ name, measured_at }) => [name, measured_at])).toEqual([
    ['scale', '2026-02-02'],
    ['memory', '2026-01-01'],
  ]);
});

test('a file holds what was written to it, one after another', () => {
  const file = join(dir, 'deep', 'latest.json');
  expect(readResults(file)).toEqual([]);
  writeResult(file, stand('scale', '2026-01-01'));
  writeResult(file, stand('memory', '2026-01-02'));
  expect(readResults(file).map(({ name }) => name)).toEqual(['scale', 'memory']);
});
