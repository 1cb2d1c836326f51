import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorld, type World } from '../../bench/lab/world.ts';
import { runFlood } from './flood.ts';
import { residentMib } from './memory.ts';
import { startProbe } from './probe.ts';

/** More than an engine lets wait, should it get no further. */
const CONNECTIONS = 1_500;
const SECONDS = 12;

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.close());

test('a Redis that stands still under a crowd: who comes new is told so at once, who waits is served, nothing grows', async () => {
  const sale_id = await world.sale({ skus: 1, qty: 1_000_000 });
  const url = new URL(world.stack.url);
  const engine = world.stack.pidOf('engine');
  const tokens = Array.from({ length: 50 }, (_, i) => world.stack.api.token(`buyer-${i}`, 'buyer'));
  const shared = { host: url.hostname, port: Number(url.port), sale_id, sku: 'sku-0000000', tokens };
  const crowd = runFlood({ ...shared, connections: CONNECTIONS, seconds: SECONDS, key_prefix: 'the-crowd' });
  const probe = startProbe({ ...shared, rate_per_second: 50, key_prefix: 'the-others' });
  const metric = async (name: string) =>
    Number(
      new RegExp(`^${name} ([\\d.]+)$`, 'm').exec(await (await fetch(`${url.origin}/metrics`)).text())?.[1],
    );
  await expect
    .poll(() => metric('stampede_connections'), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(CONNECTIONS);
  const memory_mib = residentMib(engine);

  const redis = world.spot.pids.redis as number;
  process.kill(redis, 'SIGSTOP');
  let refusing = false;
  // Until one who comes new has been told, and no longer than who waits may wait.
  const until = Date.now() + 4_500;
  while (Date.now() < until && (probe.refused() === 0 || !refusing))
    refusing = (await metric('stampede_shedding')) === 1;
  process.kill(redis, 'SIGCONT');

  const told = await crowd;
  // The crowd has gone; what is refused now is refused for nothing.
  await expect.poll(() => metric('stampede_shedding'), { timeout: 20_000 }).toBe(0);
  const { counts } = await probe.end(20_000);
  const all = { ...told.counts };
  for (const [what, count] of Object.entries(counts)) all[what] = (all[what] ?? 0) + count;
  // Nothing but these: no connection broken off, no refusal without Retry-After.
  expect(Object.keys(all).filter((what) => !['201', '503'].includes(what))).toEqual([]);
  expect(refusing).toBe(true);
  expect(counts['503']).toBeGreaterThan(0);
  expect(counts['201']).toBeGreaterThan(0);
  // Megabytes for what waits, not for everything that ever came.
  expect(residentMib(engine) - memory_mib || 0).toBeLessThan(200);
  expect((await fetch(`${url.origin}/readyz`)).status).toBe(200);
  expect(await world.audit([sale_id])).toEqual([]);
});
