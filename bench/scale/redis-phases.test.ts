import { expect, test } from 'vitest';
import { beginOf, roomOf } from './redis-phases.ts';

test('a settled phase ends where the dictionary doubles', () => {
  expect(beginOf('settled', 10_000)).toBe(10_000);
  expect(roomOf('settled', 10_000)).toBe(16_384 - 10_000);
});

test('a growing phase begins where it doubles, and is over when all is moved', () => {
  expect(beginOf('growing', 10_000)).toBe(8_192);
  expect(roomOf('growing', 8_192)).toBe(2_730);
});
