/** What a sale of very many SKUs costs Redis: the same batches, each request one SKU drawn from all. */
import { type Costs, scaleResult, sizesUpTo } from '../scale/curve.ts';
import { makeBatches, sendBatches } from '../scale/redis-load.ts';
import { openSale } from '../scale/redis-sale.ts';
import { withRedis } from '../scale/redis-stand.ts';
import type { Stand } from './stand.ts';

const SMALLEST = 1_000;

export const scaleSkus: Stand = {
  name: 'scale-skus',
  what: 'Redis CPU of a one-SKU reservation, by the number of SKUs of the sale: the real script, 32 a batch, appendfsync always.',
  sizes: {
    skus: { what: 'SKUs of the largest sale', standard: 1_000_000, quick: 20_000 },
    reservations: { what: 'reservations of one measurement', standard: 40_000, quick: 4_000 },
  },
  measure: ({ sizes: { skus = 0, reservations = 0 }, pairs, say }) =>
    withRedis(async ({ redis, engines }) => {
      const sales = [];
      for (const size of sizesUpTo(SMALLEST, skus)) {
        const started = performance.now();
        sales.push({ size, sale: await openSale(redis, size) });
        const seconds = (performance.now() - started) / 1_000;
        say(`  a sale of ${size.toLocaleString('en')} SKUs, loaded in ${seconds.toFixed(1)} s`);
      }
      const costs: Costs[] = sales.map(({ size }) => ({ size, rounds: [] }));
      for (let round = 0; round <= pairs; round += 1) {
        for (const [i, { size, sale }] of sales.entries()) {
          const batches = makeBatches({ reservations, batch_size: 32, skus: size, lines: 1 });
          const cost = await sendBatches(redis, engines, sale, batches);
          // The first round is for caches.
          if (round > 0) costs[i]?.rounds.push(cost);
        }
        say(`  round ${round} of ${pairs}: ${costs.map(({ rounds }) => cpuText(rounds.at(-1))).join(', ')}`);
      }
      return { ...scaleResult(costs, { of: 'SKUs', bar: { at_most: 1.15 } }), wrong: [] };
    }),
};

const cpuText = (cost: { cpu_us: number } | undefined) => (cost ? `${cost.cpu_us.toFixed(2)} us` : 'warm-up');
