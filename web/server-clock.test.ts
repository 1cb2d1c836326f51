import { expect, it } from 'vitest';
import { createServerClock } from './server-clock.ts';

const at = (ms: number) => new Date(ms).toISOString();

it('runs on from what the engine said, whatever the browser thinks the time is', () => {
  let running_ms = 1_000;
  const clock = createServerClock(() => running_ms);
  expect(clock.now()).toBeUndefined();
  clock.observe(at(5_000_000), 900, 1_000);
  expect(clock.now()).toBe(5_000_050);
  running_ms += 2_000;
  expect(clock.now()).toBe(5_002_050);
});

it('believes the quickest answer, and any once that one is old', () => {
  let running_ms = 0;
  const clock = createServerClock(() => running_ms);
  clock.observe(at(1_000_000), 0, 10);
  clock.observe(at(1_009_000), 10, 4_010);
  running_ms = 10;
  expect(clock.now()).toBe(1_000_005);
  clock.observe(at(2_000_000), 70_000, 70_400);
  running_ms = 70_400;
  expect(clock.now()).toBe(2_000_200);
});

it('ignores answers without a time', () => {
  const clock = createServerClock(() => 0);
  clock.observe(undefined, 0, 1);
  clock.observe('soon', 0, 1);
  expect(clock.now()).toBeUndefined();
});
