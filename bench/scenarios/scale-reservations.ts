/** What it costs Redis that very many reservations are live: the same batches beside few and beside many. */
import type { SaleToken } from '../../lua/scripts.ts';
import { type Costs, scaleResult, sizesUpTo } from '../scale/curve.ts';
import { makeBatches, type RedisCost, sendBatches, usedBytes } from '../scale/redis-load.ts';
import { dropSale, fillSale, openSale } from '../scale/redis-sale.ts';
import { type RedisStand, withRedis } from '../scale/redis-stand.ts';
import type { Stand } from './stand.ts';

const SMALLEST = 10_000;
/** Share of its size by which measuring may make a sale larger. */
const GROWTH_MAX = 0.2;
/** Rounds for which one sale is kept. */
const LASTING_ROUNDS = 5;
const FILL_STEP = 500_000;
const MIB = 2 ** 20;

export const scaleReservations: Stand = {
  name: 'scale-reservations',
  what: 'Redis CPU of a one-SKU reservation, by the number of reservations that live in its sale: the real script, 32 a batch, appendfsync always.',
  sizes: {
    live: { what: 'live reservations of the largest sale', standard: 10_000_000, quick: 100_000 },
    reservations: { what: 'reservations of one measurement', standard: 40_000, quick: 4_000 },
  },
  measure: ({ sizes: { live = 0, reservations = 0 }, pairs, say }) =>
    withRedis(async (stand) => {
      const sizes = sizesUpTo(SMALLEST, live);
      const costs: Costs[] = sizes.map((size) => ({ size, rounds: [] }));
      const lasting = new Map<number, SaleToken>();
      const { redis } = stand;
      for (let round = 0; round <= pairs; round += 1) {
        for (const [i, size] of sizes.entries()) {
          const cost = await costAt(stand, size, { reservations, lasting, say });
          if (round > 0) costs[i]?.rounds.push(cost);
        }
        say(`  round ${round} of ${pairs}: ${costs.map(({ rounds }) => cpuText(rounds.at(-1))).join(', ')}`);
      }
      say(`  Redis holds ${Math.round((await usedBytes(redis)) / MIB).toLocaleString('en')} MiB`);
      return { ...scaleResult(costs, { of: 'live reservations', at_most: 1.15 }), wrong: [] };
    }),
};

/** A sale that the measurement itself would make much larger is made anew, for a part of it each time. */
async function costAt(
  stand: RedisStand,
  size: number,
  run: { reservations: number; lasting: Map<number, SaleToken>; say: (line: string) => void },
): Promise<RedisCost> {
  const { reservations, lasting, say } = run;
  const part = Math.min(reservations, Math.floor(size * GROWTH_MAX));
  const parts: RedisCost[] = [];
  for (let made = 0; made < reservations; made += part) {
    const sale = lasting.get(size) ?? (await filled(stand, size, say));
    if (size * GROWTH_MAX >= reservations * LASTING_ROUNDS) lasting.set(size, sale);
    const batches = makeBatches({ reservations: part, batch_size: 32, skus: 1, lines: 1 });
    parts.push(await sendBatches(stand.redis, stand.engines, sale, batches));
    if (!lasting.has(size)) await dropSale(stand.redis, sale);
  }
  const mean = (read: (cost: RedisCost) => number) =>
    parts.reduce((sum, cost) => sum + read(cost), 0) / parts.length;
  return {
    cpu_us: mean((cost) => cost.cpu_us),
    script_us: mean((cost) => cost.script_us),
    seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

async function filled({ redis }: RedisStand, size: number, say: (line: string) => void): Promise<SaleToken> {
  const sale = await openSale(redis, 1);
  for (let from = 1; from <= size; from += FILL_STEP) {
    const to = Math.min(from + FILL_STEP - 1, size);
    await fillSale(redis, sale, from, to);
    if (to > FILL_STEP) say(`  ${to.toLocaleString('en')} of ${size.toLocaleString('en')} live`);
  }
  return sale;
}

const cpuText = (cost: { cpu_us: number } | undefined) => (cost ? `${cost.cpu_us.toFixed(2)} us` : 'warm-up');
