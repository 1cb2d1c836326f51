/** By the client that users repeat a figure with. It is slower than what it measures: the result says how idle it was. */
import { runAutocannon } from '../lab/clients/autocannon.ts';
import { type Measurement, measure, type Spot } from '../lab/measure.ts';
import { bodiesFile, loadOf } from './load.ts';
import type { Lab, Scenario } from './scenario.ts';

const SHARE = 0.7;
const STOCK = { skus: 1, qty: 100_000_000, limit: 1_000 };

export const byAutocannon: Scenario = {
  name: 'autocannon',
  what: 'Unique checkouts by autocannon, as fast as they are answered, against a raw echo by autocannon.',
  ...{ a: 'checkouts', b: 'raw uWebSockets.js echo of the same headers and body' },
  async prepare(lab) {
    const sale = await lab.world.sale(STOCK);
    const bodies = bodiesFile(lab, sale);
    return {
      a: () => fire(lab, lab.world.spot, bodies),
      b: () => fire(lab, lab.echo.spot, bodies),
      audit: () => lab.world.audit([sale]),
    };
  },
};

export const omission: Scenario = {
  name: 'autocannon-rate',
  what: 'p99 at a fixed rate (70% of what autocannon reaches), with and without its correction for coordinated omission.',
  ...{ a: 'corrected', b: 'not corrected', metric: 'p99_ms' },
  async prepare(lab) {
    const sale = await lab.world.sale(STOCK);
    const bodies = bodiesFile(lab, sale);
    const { requests_per_s } = await fire(lab, lab.world.spot, bodies);
    const rate = Math.round(SHARE * requests_per_s);
    return {
      a: () => fire(lab, lab.world.spot, bodies, { rate, corrected: true }),
      b: () => fire(lab, lab.world.spot, bodies, { rate, corrected: false }),
      figures: () => Promise.resolve([{ what: 'offered', value: rate, unit: 'requests/s' }]),
      audit: () => lab.world.audit([sale]),
    };
  },
};

function fire(
  lab: Lab,
  spot: Spot,
  bodies: string,
  how: { rate?: number; corrected?: boolean } = {},
): Promise<Measurement> {
  return measure(spot, (url) => runAutocannon({ ...loadOf(lab, url, bodies), ...how }));
}
