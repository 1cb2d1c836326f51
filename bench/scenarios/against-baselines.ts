/** The engine held against what people use today, over the same Redis and Postgres, behind the same front and as a whole shop. */
import { BASELINES, type Baseline, POOL_SIZES, usesPostgres } from '../baselines/all.ts';
import { fillBaseline, whatIsWrong } from '../baselines/books.ts';
import { type Rival, startRival } from '../lab/rival.ts';
import { bodiesFile, run } from './load.ts';
import type { Lab, Scenario } from './scenario.ts';
import type { Figure } from './stand.ts';

const PLENTY = 100_000_000;
const LIMIT = 1_000;

const WHAT: Record<Baseline, string> = {
  fastify: 'Fastify and Postgres with SELECT ... FOR UPDATE, a whole shop without anything of ours',
  'evalsha-each': 'the same script once a request (ioredis, auto-pipelined), same front',
  'naive-redis': 'SET NX PX and DECRBY without a script, same front',
  'for-update': 'Postgres with SELECT ... FOR UPDATE, same front',
  optimistic: 'Postgres with a version column and retries, same front',
  'atomic-update': 'Postgres with UPDATE ... WHERE stock >= qty, same front',
  'skip-locked': 'Postgres with a row a unit and SKIP LOCKED, same front',
  'micro-batched': 'Postgres behind a batcher like ours, same front',
};

const BARS: Partial<Record<Baseline, number>> = {
  'evalsha-each': 2.2,
  'for-update': 25,
  'atomic-update': 12,
  'micro-batched': 3,
};

export const againstBaselines: readonly Scenario[] = BASELINES.map((name) => ({
  name: `vs-${name}`,
  what: `One hot SKU, unique checkouts, against ${WHAT[name]}.`,
  ...{ a: 'Stampede', b: name },
  ...(BARS[name] === undefined ? {} : { bar: { at_least: BARS[name] } }),
  async prepare(lab) {
    const stock = { qty: PLENTY, limit: LIMIT };
    const ours = await lab.world.sale({ skus: 1, ...stock });
    const theirs = await lab.world.sale({ skus: 1, ...stock });
    await fillBaseline(lab.world, name, theirs, stock);
    const [our_bodies, their_bodies] = [bodiesFile(lab, ours), bodiesFile(lab, theirs)];
    const { rival, pool_size } = await best(lab, name, their_bodies);
    const refused: string[] = [];
    return {
      a: () => run(lab, lab.world.spot, our_bodies),
      async b() {
        const measured = await run(lab, rival.spot, their_bodies);
        // Who sells nothing is quick.
        if (measured.not_2xx > 0) refused.push(`${name} refused ${measured.not_2xx} of ${measured.requests}`);
        return measured;
      },
      figures: () => Promise.resolve(pool_size ? [poolFigure(lab, name, pool_size)] : []),
      async audit() {
        await rival.close();
        const wrong = await whatIsWrong(lab.world, name, theirs, stock);
        return [...(await lab.world.audit([ours])), ...wrong, ...refused];
      },
    };
  },
}));

function poolFigure(lab: Lab, name: Baseline, pool_size: number): Figure {
  const how = lab.quick ? 'not searched for' : 'the best of those tried';
  return { what: `${name}: pool, ${how}`, value: pool_size, unit: 'connections' };
}

/** Where nothing is searched for. */
const POOL_SIZE_QUICK = 8;

/** With the pool that is best for it, by a short run of each; without a pool where it has none. */
async function best(lab: Lab, name: Baseline, bodies: string): Promise<{ rival: Rival; pool_size?: number }> {
  if (!usesPostgres(name)) return { rival: await startRival(lab.world, name, 1) };
  let winner = { pool_size: POOL_SIZE_QUICK, rate: 0 };
  for (const pool_size of lab.quick ? [] : POOL_SIZES) {
    const rival = await startRival(lab.world, name, pool_size);
    const seconds = Math.min(2, lab.seconds);
    await run(lab, rival.spot, bodies, { seconds: 1 });
    const { requests_per_s: rate, not_2xx } = await run(lab, rival.spot, bodies, { seconds });
    await rival.close();
    lab.say(
      `  ${name} with a pool of ${pool_size}: ${Math.round(rate)}/s${not_2xx > 0 ? ', with failures' : ''}`,
    );
    if (not_2xx === 0 && rate > winner.rate) winner = { pool_size, rate };
  }
  const { pool_size } = winner;
  return { rival: await startRival(lab.world, name, pool_size), pool_size };
}
