/** A baseline that runs beside the stack, over the very same stores: tables of its own, and Redis where it needs one. */
import { once } from 'node:events';
import { freePort } from '../../platform/local/ports.ts';
import type { Baseline } from '../baselines/all.ts';
import { forkBuilt } from './built.ts';
import { readCounts } from './counts.ts';
import type { Spot } from './measure.ts';
import type { World } from './world.ts';

export type Rival = { spot: Spot; close(): Promise<void> };

export async function startRival(world: World, baseline: Baseline, pool_size: number): Promise<Rival> {
  const port = await freePort();
  const program = baseline === 'fastify' ? 'bench/baselines/fastify/server.js' : 'bench/baselines/server.js';
  const child = forkBuilt(program, {
    ...process.env,
    ...world.env,
    ...{ PORT: String(port), HOST: '127.0.0.1', LOG_LEVEL: 'warn' },
    ...{ RATE_LIMIT_BUYER: 'off', RATE_LIMIT_IP: 'off' },
    // No baseline pays: nobody is asked.
    PSP_SANDBOX_SECRET: 'unused',
    ...{ BASELINE: baseline, POOL_SIZE: String(pool_size) },
  });
  const [said] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['gone'])]);
  if (said !== 'ready') throw new Error(`the baseline ${baseline} did not start`);
  const url = `http://127.0.0.1:${port}`;
  const { redis, postgres, reconciler } = world.spot.pids;
  const pids = { engine: child.pid ?? 0, redis: redis ?? 0, postgres: postgres ?? 0 };
  // The very script behind it fills the very stream: what follows belongs to it as to ours.
  const behind =
    baseline === 'evalsha-each'
      ? { pids: { ...pids, reconciler: reconciler ?? 0 }, settle: world.spot.settle }
      : { pids, alone: world.alone };
  return {
    spot: { url: `${url}/v1/checkout`, counts: () => readCounts(url), ...behind },
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}
