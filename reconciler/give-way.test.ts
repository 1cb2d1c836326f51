import { expect, test } from 'vitest';
import { createGiveWay } from './give-way.ts';

const timed = async (work: () => Promise<void>) => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

test('waits while stock is behind, and no longer', async () => {
  const behind_ms = [500, 500, 500, 10, 10];
  let looks = 0;
  const giveWay = createGiveWay({ behindMs: () => behind_ms[looks++] });
  await giveWay();
  expect(looks).toBe(4);
  await giveWay();
  expect(looks).toBe(5);
});

test('goes on after a moment even if stock never catches up', async () => {
  const took = await timed(createGiveWay({ behindMs: () => 60_000, at_most_ms: 60 }));
  expect(took).toBeGreaterThan(50);
});
