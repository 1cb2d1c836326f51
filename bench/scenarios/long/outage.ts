/** Postgres stands still while a sale goes on, and comes back: how fast the ledger takes what has piled up, with no pause in the load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from '../../../test/e2e/support/stack.ts';
import { runOpenLoop } from '../../lab/clients/open-loop.ts';
import { openLab } from '../../lab/laboratory.ts';
import { type Measurement, measure } from '../../lab/measure.ts';
import { skuName, type World } from '../../lab/world.ts';
import { bodiesFile, loadOf } from '../load.ts';
import type { Figure, Stand } from '../stand.ts';
import { openStores, type Stores, saleRow, unitsLeft } from './stores.ts';

const PLENTY = 100_000_000;
const SKU = skuName(0);
/** What is still to come in when the ledger counts as up to date: the arrivals of so long. */
const BEHIND_S_MAX = 1;
const WARM_UP_S = 3;
const POLL_MS = 250;

/** Orders so far, at a moment in s since the begin: let in by Redis, and in the ledger. */
type Sample = { at_s: number; accepted: number; ingested: number };

export const outage: Stand = {
  name: 'outage',
  what: 'Postgres stands still and comes back while orders go on arriving: how much faster than they arrive the ledger catches up.',
  sizes: {
    'outage-seconds': { what: 'how long Postgres stands still', standard: 60, quick: 3 },
    'outage-rate': { what: 'checkouts/s offered all the time', standard: 1_500, quick: 200 },
  },
  async measure({ sizes, connections, quick, say }) {
    const { 'outage-seconds': away_s = 0, 'outage-rate': rate = 0 } = sizes;
    // A backlog that is taken at twice the arrival rate is gone after as long as the outage was; some more to see whether it is.
    const seconds = WARM_UP_S + away_s + 2 * away_s + 5;
    const laboratory = openLab({ seconds, connections, buyers: quick ? 1_000 : 20_000, quick });
    let stores: Stores | undefined;
    try {
      const lab = await laboratory.get();
      const { world } = lab;
      stores = await openStores(world.env);
      const sale = await world.sale({ skus: 1, qty: PLENTY, limit: 1_000_000 });
      const bodies = bodiesFile(lab, sale);
      const load = (for_s: number) =>
        measure(world.spot, (url) => runOpenLoop({ ...loadOf(lab, url, bodies, { seconds: for_s }), rate }));
      // Compilers and caches.
      await load(WARM_UP_S);
      const sold_before = await soldOf(stores, sale);
      const loaded = load(seconds);
      loaded.catch(() => {});
      await sleep(WARM_UP_S * 1_000);
      const goOn = await standStill(world);
      say(`  Postgres stands still for ${away_s} s`);
      await sleep(away_s * 1_000);
      goOn();
      const samples = await followDrain(stores, { sale, rate, until: loaded, say });
      const measured = await loaded;
      say('  checking the books');
      const wrong = [...(await world.audit([sale])), ...failuresOf(measured)];
      const sold = await soldOf(stores, sale);
      if (sold - sold_before !== measured.requests - measured.not_2xx)
        wrong.push(`${measured.requests - measured.not_2xx} were accepted and ${sold - sold_before} sold`);
      return { figures: figuresOf(samples, measured), curves: [curveOf(samples)], wrong };
    } finally {
      await stores?.close();
      await laboratory.close();
    }
  },
};

/** SIGSTOP of the server and every process of its. Returns what lets them go on. */
async function standStill(world: World): Promise<() => void> {
  const server = world.spot.pids.postgres;
  if (!server) throw new Error('no Postgres');
  process.kill(server, 'SIGSTOP');
  // Its children can become no more now.
  const pids = [...childrenOf(server), server];
  signal(pids, 'SIGSTOP');
  return () => signal(pids, 'SIGCONT');
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function soldOf(stores: Stores, sale: string): Promise<number> {
  return PLENTY - (await unitsLeft(stores, await saleRow(stores.db, sale), SKU));
}

/** From the moment when Postgres goes on until the ledger is up to date, or the load is over. */
async function followDrain(
  stores: Stores,
  how: { sale: string; rate: number; until: Promise<unknown>; say: (line: string) => void },
): Promise<Sample[]> {
  const begun = performance.now();
  let over = false;
  const end = () => {
    over = true;
  };
  how.until.then(end, end);
  const row = await saleRow(stores.db, how.sale);
  const samples: Sample[] = [];
  while (!over) {
    const ingested = await ingestedOf(stores, row.sale_no);
    const accepted = PLENTY - (await unitsLeft(stores, row, SKU));
    const sample = { at_s: (performance.now() - begun) / 1_000, accepted, ingested };
    samples.push(sample);
    const behind = accepted - ingested;
    if (samples.length % 20 === 1)
      how.say(`  ${sample.at_s.toFixed(1)} s: ${behind.toLocaleString('en')} orders behind`);
    if (behind <= how.rate * BEHIND_S_MAX) break;
    await sleep(POLL_MS);
  }
  return samples;
}

/** Units that orders in the ledger hold or own: one each. */
async function ingestedOf({ db }: Stores, sale_no: number): Promise<number> {
  const { rows } = await db.query<{ units: number }>({
    text: 'SELECT sum(reserved + sold)::bigint AS units FROM skus WHERE sale_no = $1',
    values: [sale_no],
  });
  return rows[0]?.units ?? 0;
}

function figuresOf(samples: readonly Sample[], load: Measurement): Figure[] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last === first) throw new Error('nothing had piled up');
  const seconds = last.at_s - first.at_s;
  const ingested = (last.ingested - first.ingested) / seconds;
  const arrived = (last.accepted - first.accepted) / seconds;
  return [
    {
      what: 'orders ingested against orders arrived, while the backlog was taken',
      ...{ value: ingested / arrived, unit: 'times', bar: { at_least: 2 } },
    },
    { what: 'backlog when Postgres went on', value: first.accepted - first.ingested, unit: 'orders' },
    { what: 'backlog when it was last looked at', value: last.accepted - last.ingested, unit: 'orders' },
    { what: 'from then until it was taken, or the load ended', value: last.at_s, unit: 's' },
    { what: 'ingested meanwhile', value: ingested, unit: 'orders/s' },
    { what: 'arrived meanwhile', value: arrived, unit: 'orders/s' },
    { what: 'checkouts answered over the whole time', value: load.requests_per_s, unit: 'requests/s' },
    { what: 'p99 of checkouts over the whole time', value: load.p99_ms, unit: 'ms' },
    { what: 'checkouts due that the client never sent', value: load.schedule?.unsent ?? 0, unit: 'requests' },
  ];
}

function curveOf(samples: readonly Sample[]) {
  const points = samples.map(({ at_s, accepted, ingested }) => ({ x: at_s, y: accepted - ingested }));
  return {
    title: 'Backlog after an outage of Postgres',
    ...{
      x: 's since Postgres went on',
      y: 'orders that the ledger does not have',
      lines: [{ name: 'backlog', points }],
    },
  };
}

function failuresOf({ failed, requests, counts }: Measurement): string[] {
  const all = failed + (counts?.failed ?? 0);
  return all > 0 ? [`${all} of ${requests} requests failed`] : [];
}
