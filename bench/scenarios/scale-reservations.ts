/** What it costs Redis that very many reservations are live: the same batches beside few and beside many. */
import type { SaleToken } from '../../lua/scripts.ts';
import { spread } from '../lab/spread.ts';
import { type Costs, scaleResult, sizesUpTo } from '../scale/curve.ts';
import { makeBatches, type RedisCost, sendBatches, usedBytes } from '../scale/redis-load.ts';
import { beginOf, GROWING_SHARE, type Phase, roomOf, settle } from '../scale/redis-phases.ts';
import { dropSale, fillSale, openSale } from '../scale/redis-sale.ts';
import { type RedisStand, withRedis } from '../scale/redis-stand.ts';
import type { Figure, Stand, StandRun } from './stand.ts';

const SMALLEST = 10_000;
const BATCH = 32;
const FILL_STEP = 500_000;
const MIB = 2 ** 20;
const OF = 'live reservations';

export const scaleReservations: Stand = {
  name: 'scale-reservations',
  what: 'Redis CPU of a one-SKU reservation, by the number of reservations that live in its sale: the real script, 32 a batch, appendfsync always.',
  sizes: {
    live: { what: 'live reservations of the largest sale', standard: 10_000_000, quick: 100_000 },
    reservations: { what: 'reservations of one measurement', standard: 40_000, quick: 4_000 },
  },
  async measure(run) {
    const { live = 0 } = run.sizes;
    // A Redis each: one holds gigabytes.
    const settled = await withRedis((stand) => costsIn(stand, 'settled', sizesUpTo(SMALLEST, live), run));
    const growing = await withRedis((stand) => costsIn(stand, 'growing', [SMALLEST, live], run));
    const { figures, curves } = scaleResult(settled, { of: OF });
    const [grown] = scaleResult(growing, { of: OF }).figures;
    const all: Figure[] = [
      overall(settled, growing),
      ...figures,
      ...(grown ? [{ ...grown, what: `${grown.what}, while its dictionaries grow` }] : []),
    ];
    return { figures: all, curves, wrong: [] };
  },
};

async function costsIn(
  stand: RedisStand,
  phase: Phase,
  sizes: readonly number[],
  run: StandRun,
): Promise<Costs[]> {
  const { pairs, say } = run;
  const costs: Costs[] = sizes.map((size) => ({ size: beginOf(phase, size), rounds: [] }));
  const lasting = new Map<number, SaleToken>();
  for (let round = 0; round <= pairs; round += 1) {
    for (const { size, rounds } of costs) {
      const cost = await costAt(stand, { phase, size, lasting }, run);
      // The first round is for caches.
      if (round > 0) rounds.push(cost);
    }
    say(
      `  ${phase}, round ${round} of ${pairs}: ${costs.map(({ rounds }) => cpuText(rounds.at(-1))).join(', ')}`,
    );
  }
  say(`  Redis holds ${Math.round((await usedBytes(stand.redis)) / MIB).toLocaleString('en')} MiB`);
  return costs;
}

/** Where the sale would leave its phase, another one is made, for a part of the measurement each. */
async function costAt(
  stand: RedisStand,
  { phase, size, lasting }: { phase: Phase; size: number; lasting: Map<number, SaleToken> },
  { sizes: { reservations = 0 }, pairs, say }: StandRun,
): Promise<RedisCost> {
  const room = roomOf(phase, size);
  const part = Math.floor(Math.min(reservations, room) / BATCH) * BATCH;
  const parts: RedisCost[] = [];
  for (let made = 0; made < reservations; made += part) {
    const sale = lasting.get(size) ?? (await filled(stand, size, say));
    if (room >= reservations * (pairs + 1)) lasting.set(size, sale);
    const batches = makeBatches({ reservations: part, batch_size: BATCH, skus: 1, lines: 1 });
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
    if (to > 4 * FILL_STEP) say(`  ${to.toLocaleString('en')} of ${size.toLocaleString('en')} live`);
  }
  // Growing begins with the next that comes.
  await settle(redis, sale, size);
  return sale;
}

/** Over a whole doubling: so much of it growing, the rest settled. */
function overall(settled: readonly Costs[], growing: readonly Costs[]): Figure {
  const costs = (at: 0 | -1) => {
    const still = settled.at(at)?.rounds ?? [];
    const moving = growing.at(at)?.rounds ?? [];
    return still.map((cost, i) => {
      const { cpu_us = 0 } = moving[i] ?? {};
      return cpu_us * GROWING_SHARE + cost.cpu_us * (1 - GROWING_SHARE);
    });
  };
  const [few, many] = [costs(0), costs(-1)];
  const ratio = spread(many.map((cost, i) => cost / (few[i] ?? cost)));
  if (!ratio) throw new Error('no round was measured');
  const [least, most] = [settled[0]?.size ?? 0, settled.at(-1)?.size ?? 0];
  return {
    what: `Redis CPU of a reservation, over a whole doubling, at about ${most.toLocaleString('en')} ${OF} against ${least.toLocaleString('en')}`,
    ...{ unit: 'times', value: ratio.median, spread: ratio, bar: { at_most: 1.15 } },
  };
}

const cpuText = (cost: { cpu_us: number } | undefined) => (cost ? `${cost.cpu_us.toFixed(2)} us` : 'warm-up');
