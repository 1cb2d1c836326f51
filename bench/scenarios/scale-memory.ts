/** What a live reservation of a distinct buyer takes of Redis's memory: record and limit counter, the stream trimmed. */
import { saleKeys } from '../../lua/keys.ts';
import { datasetBytes, makeBatches, sendBatches } from '../scale/redis-load.ts';
import { bytesOf, openSale } from '../scale/redis-sale.ts';
import { type RedisStand, withRedis } from '../scale/redis-stand.ts';
import type { Curve, Figure, Stand, StandRun } from './stand.ts';

const BYTES_MAX = 240;
/** Below it, what is there once weighs too much. */
const COUNTED_FROM = 50_000;
const STEPS = 100;

type Points = { x: number; y: number }[];

export const memory: Stand = {
  name: 'memory',
  what: 'Memory of Redis for a live reservation of a distinct buyer (record and limit counter, stream trimmed), made by the real script.',
  sizes: {
    live: { what: 'live reservations at the end', standard: 1_000_000, quick: 100_000 },
  },
  async measure(run) {
    // Each in a Redis of its own: what another leaves is freed little by little.
    const one = await withRedis((stand) => grow(stand, run, 1));
    const three = await withRedis((stand) => grow(stand, run, 3));
    const curve: Curve = {
      ...{ title: 'Memory of a live reservation', x: 'live reservations', y: 'bytes a reservation' },
      bar: { at_most: BYTES_MAX },
      lines: [
        { name: 'one SKU', points: one.points },
        { name: 'three SKUs', points: three.points },
      ],
    };
    return { figures: [...one.figures, ...three.figures], curves: [curve], wrong: [] };
  },
};

/** Sampled all along: a dictionary that has just grown holds two tables, and takes most then. */
async function grow({ redis, engines }: RedisStand, { sizes, say }: StandRun, lines: number) {
  const { live = 0 } = sizes;
  const sale = await openSale(redis, lines);
  const before = await datasetBytes(redis);
  const points: Points = [];
  const step = Math.max(1_000, Math.round(live / STEPS));
  for (let made = 0; made < live; ) {
    const batches = makeBatches({ reservations: step, batch_size: 500, skus: lines, lines });
    await sendBatches(redis, engines, sale, batches);
    made += batches.length * 500;
    await redis.xtrim(saleKeys(sale).stream, 'MAXLEN', 0);
    const bytes = (await datasetBytes(redis)) - before;
    if (made >= COUNTED_FROM) points.push({ x: made, y: bytes / made });
    if ((made / step) % 20 === 0)
      say(
        `  ${lines} a reservation, ${made.toLocaleString('en')} live: ${(bytes / made).toFixed(1)} bytes each`,
      );
  }
  // Another way to the same sum.
  const parts = await bytesOf(redis, sale, points.at(-1)?.x ?? live);
  const kind = lines === 1 ? 'one SKU' : `${lines} SKUs`;
  const most = Math.max(...points.map(({ y }) => y));
  const figures: Figure[] = [
    {
      ...{ what: `a live reservation of ${kind}, where it is most`, value: most, unit: 'bytes' },
      bar: { at_most: BYTES_MAX },
    },
    { what: `a live reservation of ${kind}, at the end`, value: points.at(-1)?.y ?? 0, unit: 'bytes' },
    { what: `its record of ${kind}, at the end`, value: parts.record, unit: 'bytes' },
    { what: `its limit counter with ${kind}, at the end`, value: parts.counter, unit: 'bytes' },
  ];
  return { points, figures };
}
