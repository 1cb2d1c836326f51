import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REFUTED } from '../model/suite.ts';
import { BUGS, simulatedChange } from './bugs.ts';
import { table } from './results.ts';
import { SIMULATED } from './simulated.ts';
import { PROJECT, withBug } from './tree.ts';

describe('every planted bug', () => {
  test.for(BUGS)('$id: its text stands in $file', (bug) => {
    for (const change of [bug, simulatedChange(bug) ?? bug]) {
      const text = readFileSync(join(PROJECT, change.file), 'utf8');
      expect(withBug(text, bug.id, change)).not.toBe(text);
    }
  });

  test('has a name of its own, and names settings of the model that there are', () => {
    const ids = BUGS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(BUGS.length);
    for (const id of Object.keys(SIMULATED)) expect(ids).toContain(id);
    const settings = REFUTED.map(({ id }) => id);
    for (const { model } of BUGS) if (model) expect(settings).toContain(model);
  });

  test('has been caught by some layer, and the page tells by which', () => {
    const results = JSON.parse(readFileSync(join(PROJECT, 'test/planted/results.json'), 'utf8'));
    for (const { id } of BUGS) expect([id, ...Object.values(results[id]?.layers ?? {})]).toContain('caught');
    expect(readFileSync(join(PROJECT, 'docs/planted-bugs.md'), 'utf8')).toContain(table(results));
  });
});

test('a text that is gone, or stands there twice, is no bug that can be planted', () => {
  const [bug] = BUGS;
  expect(() => withBug('', bug.id, bug)).toThrow('0 times');
  expect(() => withBug(bug.find + bug.find, bug.id, bug)).toThrow('2 times');
});
