/** How many orders a second the saga pays at a sandbox that answers at once, in turn with one pg-boss job an order. */
import { type Stores, startStores } from '../ingest/stores.ts';
import { type Contestant, type RunResult, runOnce } from '../saga/run.ts';
import type { Tuning } from '../saga/worker-settings.ts';
import { type Figure, medianFigure, type Stand } from './stand.ts';

const NAMES: Record<Contestant, string> = { saga: 'the saga', baseline: 'one job an order' };
const TUNINGS: readonly Tuning[] = [
  { loops: 1, batch: 16, connections: 16 },
  { loops: 1, batch: 64, connections: 16 },
  { loops: 2, batch: 32, connections: 16 },
  { loops: 2, batch: 64, connections: 32 },
  { loops: 4, batch: 64, connections: 16 },
];
const TUNING_ORDERS = 600;

type Say = (line: string) => void;

export const saga: Stand = {
  name: 'saga',
  what: 'Orders paid (authorize, confirm, capture) at a sandbox that answers at once, against one pg-boss job an order.',
  sizes: {
    'saga-orders': { what: 'orders of one run of the saga', standard: 20_000, quick: 500 },
    'job-orders': { what: 'orders of one run of one job an order', standard: 2_000, quick: 100 },
    'saga-skus': {
      what: 'SKUs that the orders are of, in turn; with 1 the baseline waits at one row of stock',
      ...{ standard: 100, quick: 10 },
    },
  },
  async measure({ sizes, pairs, quick, say }) {
    const skus = sizes['saga-skus'] ?? 0;
    const orders = { saga: sizes['saga-orders'] ?? 0, baseline: sizes['job-orders'] ?? 0 };
    const stores = await startStores();
    try {
      const tuning = await bestTuning(stores, quick ? TUNINGS.slice(0, 1) : TUNINGS, skus, say);
      const results: Record<Contestant, RunResult[]> = { saga: [], baseline: [] };
      for (let pair = 0; pair < pairs; pair++) {
        for (const contestant of ['saga', 'baseline'] as const) {
          const result = await runOnce({ stores, contestant, orders: orders[contestant], skus, tuning });
          say(lineOf(contestant, result));
          results[contestant].push(result);
        }
      }
      const wrong = [...results.saga, ...results.baseline].flatMap((result) => result.wrong);
      return { figures: figuresOf(results), wrong };
    } finally {
      await stores.close();
    }
  },
};

/** The baseline's, by a short run of each. */
async function bestTuning(
  stores: Stores,
  tunings: readonly Tuning[],
  skus: number,
  say: Say,
): Promise<Tuning | undefined> {
  if (tunings.length === 1) return tunings[0];
  let best: { tuning: Tuning; orders_per_s: number } | undefined;
  for (const tuning of tunings) {
    const result = await runOnce({ stores, contestant: 'baseline', orders: TUNING_ORDERS, skus, tuning });
    say(`${lineOf('baseline', result)}  ${JSON.stringify(tuning)}`);
    if (!best || result.orders_per_s > best.orders_per_s) best = { tuning, ...result };
  }
  return best?.tuning;
}

function lineOf(contestant: Contestant, { orders_per_s, seconds, cpu_us }: RunResult): string {
  const cpu = Object.entries(cpu_us).map(([name, us]) => `${name} ${us.toFixed(0)}`);
  return `  ${NAMES[contestant]}: ${orders_per_s.toFixed(0)} orders/s in ${seconds.toFixed(1)} s; CPU us an order: ${cpu.join(', ')}`;
}

function figuresOf({ saga, baseline }: Record<Contestant, RunResult[]>): Figure[] {
  const cpuOf = ({ cpu_us }: RunResult) => cpu_us.worker + cpu_us.postgres + cpu_us.sandbox;
  const againstBaseline = (read: (one: RunResult, other: RunResult) => number) =>
    saga.flatMap((one, i) => (baseline[i] ? [read(one, baseline[i])] : []));
  const ofEach = (name: string, runs: readonly RunResult[]): Figure[] => [
    ...medianFigure(
      `${name}: orders paid`,
      'orders/s',
      runs.map((run) => run.orders_per_s),
    ),
    ...(['worker', 'postgres', 'sandbox'] as const).flatMap((process) =>
      medianFigure(
        `${name}: CPU of an order, ${process}`,
        'us',
        runs.map((run) => run.cpu_us[process]),
      ),
    ),
  ];
  return [
    ...medianFigure(
      'the saga against one job an order',
      'times',
      againstBaseline((one, other) => one.orders_per_s / other.orders_per_s),
    ),
    // What others do on the machine meanwhile hardly changes this one.
    ...medianFigure(
      'CPU of one job an order against the saga',
      'times',
      againstBaseline((one, other) => cpuOf(other) / cpuOf(one)),
    ),
    ...ofEach(NAMES.saga, saga),
    ...ofEach(NAMES.baseline, baseline),
  ];
}
