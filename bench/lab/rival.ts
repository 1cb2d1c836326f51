/** A baseline that runs beside the stack, over the very same stores: tables of its own, and Redis where it needs one. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
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
    env: {
      ...process.env,
      ...world.env,
      ...{ PORT: String(port), HOST: '127.0.0.1', LOG_LEVEL: 'warn' },
      ...{ RATE_LIMIT_BUYER: 'off', RATE_LIMIT_IP: 'off' },
      // No baseline pays: nobody is asked.
      PSP_SANDBOX_SECRET: 'unused',
      ...{ BASELINE: baseline, POOL_SIZE: String(pool_size) },
    },
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
      : { pids, alone: world.alone, rest: () => untilAtRest(world) };
  return {
    spot: { url: `${url}/v1/checkout`, counts: () => readCounts(url), ...behind },
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

const BUSY = `SELECT EXISTS (
  SELECT 1 FROM pg_stat_activity WHERE application_name = 'baseline' AND state <> 'idle') AS busy`;
const SAMPLES = 3;
const SAMPLE_MS = 50;
const REST_MS_MAX = 60_000;

/** The client has gone, and what it had asked for still waits for its connection to Postgres: until none is busy, several times on end. */
async function untilAtRest(world: World): Promise<void> {
  const db = new pg.Client({ connectionString: world.env.DATABASE_URL });
  await db.connect();
  try {
    const until = Date.now() + REST_MS_MAX;
    for (let idle = 0; idle < SAMPLES; await sleep(SAMPLE_MS)) {
      const { rows } = await db.query(BUSY);
      idle = rows[0].busy ? 0 : idle + 1;
      if (Date.now() > until) throw new Error('the baseline works on, long after its client has gone');
    }
  } finally {
    await db.end();
  }
}
