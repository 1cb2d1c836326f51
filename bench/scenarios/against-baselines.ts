/** The engine held against what people use today, each behind the same front, over the same Redis and Postgres. */
import { BASELINES, type Baseline, POOL_SIZES } from '../baselines/all.ts';
import { fillBaseline, whatIsWrong } from '../baselines/books.ts';
import { type Rival, startRival } from '../lab/rival.ts';
import { bodiesFile, run } from './load.ts';
import type { Lab, Scenario } from './scenario.ts';

const PLENTY = 100_000_000;
/** Rows a unit: enough for every run. */
const UNITS = 300_000;

const BARS: Partial<Record<Baseline, number>> = {
  'evalsha-each': 2.2,
  'for-update': 25,
  'atomic-update': 12,
  'micro-batched': 3,
};

const USES_POSTGRES = (name: Baseline) => name !== 'evalsha-each' && name !== 'naive-redis';

export const againstBaselines: readonly Scenario[] = BASELINES.map((name) => ({
  name: `vs-${name}`,
  what: `One hot SKU, unique checkouts, against ${name} behind the same front.`,
  ...{ a: 'Stampede', b: name },
  ...(BARS[name] === undefined ? {} : { bar: { at_least: BARS[name] } }),
  async prepare(lab) {
    const ours = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const theirs = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const units = name === 'skip-locked' ? UNITS : 0;
    await fillBaseline(lab.world, theirs, { qty: PLENTY, units });
    const [our_bodies, their_bodies] = [bodiesFile(lab, ours), bodiesFile(lab, theirs)];
    const rival = await best(lab, name, their_bodies);
    return {
      a: () => run(lab, lab.world.spot, our_bodies),
      b: () => run(lab, rival.spot, their_bodies),
      async audit() {
        await rival.close();
        // An EVALSHA a request is the very script: its sale is in our books.
        const by_us = name === 'evalsha-each' ? [ours, theirs] : [ours];
        const wrong = USES_POSTGRES(name) ? await whatIsWrong(lab.world, theirs, PLENTY) : [];
        return [...(await lab.world.audit(by_us)), ...wrong];
      },
    };
  },
}));

/** With the pool that is best for it, by a short run of each. */
async function best(lab: Lab, name: Baseline, bodies: string): Promise<Rival> {
  let winner = { pool_size: POOL_SIZES[0] ?? 4, rate: 0 };
  for (const pool_size of USES_POSTGRES(name) ? POOL_SIZES : []) {
    const rival = await startRival(lab.world, name, pool_size);
    await run(lab, rival.spot, bodies, { seconds: 1 });
    const { requests_per_s: rate } = await run(lab, rival.spot, bodies, { seconds: 2 });
    await rival.close();
    if (rate > winner.rate) winner = { pool_size, rate };
  }
  return startRival(lab.world, name, winner.pool_size);
}
