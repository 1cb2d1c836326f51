import { expect, test } from 'vitest';
import { createGiveWay } from './give-way.ts';

const timed = async (work: () => Promise<void>) => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

test('waits while ingest is behind, and no longer', async () => {
  const lags_ms = [500, 500, 500, 10, 10];
  let looks = 0;
  const giveWay = createGiveWay({ lagMs: () => lags_ms[looks++] });
  await giveWay();
  expect(looks).toBe(4);
  await giveWay();
  expect(looks).toBe(5);
});

test('goes on after a moment even if ingest never catches up', async () => {
  const took = await timed(createGiveWay({ lagMs: () => 60_000, at_most_ms: 60 }));
  expect(took).toBeGreaterThan(50);
});
