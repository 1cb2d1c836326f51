/** How what is staged is cut into steps. */
import { expect, test } from 'vitest';
import { STAGE_BYTES_MAX, STAGE_ROWS_MAX } from '../../domain/limits.ts';
import { endOfStep } from './stage-sale.ts';

function stepsOf(fields: readonly (string | number | Buffer)[]): number[] {
  const lengths: number[] = [];
  for (let at = 0, end: number; at < fields.length; at = end) {
    end = endOfStep(fields, at);
    lengths.push((end - at) / 2);
  }
  return lengths;
}

const rows = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, i) => [`${i}`, Buffer.alloc(bytes)]).flat();

test('small fields go by their number', () => {
  expect(stepsOf(rows(2 * STAGE_ROWS_MAX + 1, 10))).toEqual([STAGE_ROWS_MAX, STAGE_ROWS_MAX, 1]);
  expect(stepsOf([])).toEqual([]);
});

test('large ones by their bytes, and one that is larger than a step alone', () => {
  expect(stepsOf(rows(5, STAGE_BYTES_MAX / 2 - 1))).toEqual([2, 2, 1]);
  expect(stepsOf(rows(3, 2 * STAGE_BYTES_MAX))).toEqual([1, 1, 1]);
  expect(stepsOf(['a', 1, 'b', Buffer.alloc(STAGE_BYTES_MAX), 'c', 2])).toEqual([1, 1, 1]);
});
