/** Orders of three SKUs: through HTTP against a raw echo, and what one costs Redis in full batches. */

import { spread } from '../lab/spread.ts';
import { makeBatches, type RedisCost, sendBatches } from '../scale/redis-load.ts';
import { openSale } from '../scale/redis-sale.ts';
import { withRedis } from '../scale/redis-stand.ts';
import { bodiesFile, run } from './load.ts';
import type { Scenario } from './scenario.ts';
import type { Figure } from './stand.ts';

const SKUS = 10;
const LINES = 3;
const QTY = 100_000_000;
const BATCH_SIZES = [32, 128, 512];
const ROUNDS = 3;
/** A round; each makes its requests beforehand. */
const RESERVATIONS = 50_000;
const RESERVATIONS_QUICK = 5_000;

export const threeSku: Scenario = {
  name: 'three-sku',
  what: 'Unique checkouts of three SKUs each, of ten; and what one costs Redis at 32 and more a batch.',
  ...{ a: 'checkouts of three SKUs', b: 'raw uWebSockets.js echo of the same headers and body' },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: SKUS, qty: QTY, limit: 3_000 });
    const bodies = bodiesFile(lab, sale, SKUS, LINES);
    return {
      a: () => run(lab, lab.world.spot, bodies),
      b: () => run(lab, lab.echo.spot, bodies),
      figures: () => lab.world.alone(() => redisCosts(lab.quick ? RESERVATIONS_QUICK : RESERVATIONS)),
      audit: () => lab.world.audit([sale]),
    };
  },
};

/** On a Redis of its own, kept busy by four engines. The bar is for the whole process: sockets, script, AOF and fsync. */
function redisCosts(reservations: number): Promise<Figure[]> {
  return withRedis(async ({ redis, engines }) => {
    const sale = await openSale(redis, SKUS);
    const send = (batch_size: number, count: number) =>
      sendBatches(
        redis,
        engines,
        sale,
        makeBatches({ reservations: count, batch_size, skus: SKUS, lines: LINES }),
      );
    await send(32, 2_000);
    const costs = new Map<number, RedisCost[]>(BATCH_SIZES.map((size) => [size, []]));
    for (let round = 0; round < ROUNDS; round++)
      for (const [size, rounds] of costs) rounds.push(await send(size, reservations));
    return [...costs].flatMap(([size, rounds]) => figuresOf(size, rounds));
  });
}

function figuresOf(batch_size: number, rounds: readonly RedisCost[]): Figure[] {
  const of = (what: string, read: (cost: RedisCost) => number): Figure => {
    const values = spread(rounds.map(read));
    return {
      what: `${what}, ${batch_size} a batch`,
      value: values?.median ?? Number.NaN,
      unit: 'us',
      spread: values,
    };
  };
  const whole = of('Redis CPU of a reservation of three SKUs', ({ cpu_us }) => cpu_us);
  return [{ ...whole, bar: { at_most: 4 } }, of('of that inside the script', ({ script_us }) => script_us)];
}
