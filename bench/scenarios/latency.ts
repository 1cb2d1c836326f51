/**
 * How long buyers wait while the engine is busy, and not overrun. Requests come by the clock (lab/clients/open-loop.ts) at 70% of what the
 * engine can do, to the engine and, at the very same rate, to the raw echo: the harder of the two readings of "the echo's p99", since
 * the echo at 70% of its own maximum would wait for itself.
 */
import { runOpenLoop } from '../lab/clients/open-loop.ts';
import { type Measurement, measure, type Spot } from '../lab/measure.ts';
import type { Pair } from '../lab/pairs.ts';
import { spread } from '../lab/spread.ts';
import { bodiesFile, loadOf, run } from './load.ts';
import type { Lab, Scenario } from './scenario.ts';
import type { Figure } from './stand.ts';

const SHARE = 0.7;
const SEARCHES = 3;
/** Enough for a wait of a tenth of a second at 10,000 requests/s. */
const CONNECTIONS_MIN = 1_000;

export const latency: Scenario = {
  name: 'latency-70',
  what: 'p99 by the clock at 70% of the maximum, against the raw echo at the same rate.',
  ...{ a: 'checkouts at 70% of the maximum', b: 'raw echo at the same rate' },
  ...{ metric: 'p99_ms', bar: { at_most: 5 } },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: 100_000_000, limit: 1_000 });
    const bodies = bodiesFile(lab, sale);
    const most_per_s = await maximum(lab, bodies);
    const rate = Math.round(SHARE * most_per_s);
    lab.say(`  maximum ${Math.round(most_per_s)}/s, offered ${rate}/s`);
    const wrong: string[] = [];
    const at = async (spot: Spot) => {
      const measured = await offer(lab, spot, bodies, rate);
      wrong.push(...unkept(measured));
      return measured;
    };
    return {
      a: () => at(lab.world.spot),
      b: () => at(lab.echo.spot),
      figures: (pairs) =>
        Promise.resolve([
          { what: 'maximum, closed loop', value: most_per_s, unit: 'requests/s' },
          { what: 'offered', value: rate, unit: 'requests/s' },
          ...fromSending(pairs),
        ]),
      audit: async () => [...(await lab.world.audit([sale])), ...wrong],
    };
  },
};

async function maximum(lab: Lab, bodies: string): Promise<number> {
  await run(lab, lab.world.spot, bodies, { seconds: 1 });
  const rates: number[] = [];
  for (let i = 0; i < SEARCHES; i++) rates.push((await run(lab, lab.world.spot, bodies)).requests_per_s);
  return spread(rates)?.median ?? Number.NaN;
}

function offer(lab: Lab, spot: Spot, bodies: string, rate: number): Promise<Measurement> {
  const connections = Math.max(CONNECTIONS_MIN, lab.connections);
  return measure(spot, (url) => runOpenLoop({ ...loadOf(lab, url, bodies), connections, rate }));
}

/** The same ratio without what the client itself was late by, which is in both sides and makes them more alike. */
function fromSending(pairs: readonly Pair[]): Figure[] {
  const of = ({ schedule }: Measurement) => schedule?.sent_p99_ms ?? Number.NaN;
  const ratio = spread(pairs.map(({ a, b }) => of(a) / of(b)));
  if (!ratio) return [];
  return [{ what: 'p99 ratio, counted from the sending', value: ratio.median, unit: 'times', spread: ratio }];
}

/** A client that fell behind its schedule offered something else. */
function unkept({ schedule }: Measurement): string[] {
  if (!schedule || schedule.unsent === 0) return [];
  return [`the client could not keep its schedule: ${schedule.unsent} requests were never sent`];
}
