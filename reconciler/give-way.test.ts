import { expect, test } from 'vitest';
import { createGiveWay } from './give-way.ts';

const timed = async (work: () => Promise<void>) => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

test('waits while ingest is behind, and no longer', async () => {
  const until = performance.now() + 100;
  const giveWay = createGiveWay({ lagMs: () => (performance.now() < until ? 500 : 10) });
  expect(await timed(giveWay)).toBeGreaterThan(80);
  expect(await timed(giveWay)).toBeLessThan(20);
});

test('goes on after a moment even if ingest never catches up', async () => {
  const took = await timed(createGiveWay({ lagMs: () => 60_000, at_most_ms: 60 }));
  expect(took).toBeGreaterThan(50);
  expect(took).toBeLessThan(1_000);
});
