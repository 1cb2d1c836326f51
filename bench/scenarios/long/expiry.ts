/** Holds that all run out at once, while the same sale goes on selling the same SKU. */
import { runOpenLoop } from '../../lab/clients/open-loop.ts';
import { openLab } from '../../lab/laboratory.ts';
import { type Measurement, measure } from '../../lab/measure.ts';
import { spread } from '../../lab/spread.ts';
import { skuName } from '../../lab/world.ts';
import { bodiesFile, loadOf, run } from '../load.ts';
import type { Lab } from '../scenario.ts';
import type { Figure, Stand } from '../stand.ts';
import { holdBackDeadlines, untilAllAreOver } from './deadlines.ts';
import { putHolds } from './holds.ts';
import { openStores, type Stores, saleRow } from './stores.ts';
import { untilBack, type Wave } from './wave.ts';

const PLENTY = 100_000_000;
/** Also the least that the ledger leaves to anybody. */
const HOLD_SECONDS = 30;
const SKU = skuName(0);

type Runs = { before: Measurement; during: Measurement[]; after: Measurement; wave: Wave };

export const expiry: Stand = {
  name: 'expiry',
  what: 'All holds of a sale run out at once while it goes on selling: what that costs those who buy, and when the stock is back.',
  sizes: {
    holds: { what: 'live holds', standard: 1_000_000, quick: 5_000 },
    'expiry-rate': { what: 'checkouts/s offered meanwhile', standard: 1_000, quick: 200 },
    'expiry-flat-out': {
      what: 'holds of the wave under as many checkouts as are answered',
      ...{ standard: 200_000, quick: 5_000 },
    },
  },
  async measure({ sizes, seconds, connections, quick, say }) {
    const { holds = 0, 'expiry-rate': rate = 0, 'expiry-flat-out': flat_out = 0 } = sizes;
    const laboratory = openLab({ seconds, connections, buyers: quick ? 1_000 : 20_000, quick });
    const figures: Figure[] = [];
    const wrong: string[] = [];
    let stores: Stores | undefined;
    try {
      const lab = await laboratory.get();
      stores = await openStores(lab.world.env);
      const steadily = (url: string, bodies: string) => runOpenLoop({ ...loadOf(lab, url, bodies), rate });
      const by_clock = await runWave(lab, stores, holds, say, (bodies) =>
        measure(lab.world.spot, (url) => steadily(url, bodies)),
      );
      figures.push(...stockFigures(by_clock, holds), ...loadFigures(`${rate}/s offered`, by_clock.runs));
      wrong.push(...by_clock.wrong);
      const at_limit = await runWave(lab, stores, flat_out, say, (bodies) =>
        run(lab, lab.world.spot, bodies),
      );
      figures.push(...loadFigures('as many as are answered', at_limit.runs));
      wrong.push(...at_limit.wrong);
    } finally {
      await stores?.close();
      await laboratory.close();
    }
    return { figures, wrong };
  },
};

async function runWave(
  lab: Lab,
  stores: Stores,
  holds: number,
  say: (line: string) => void,
  load: (bodies_file: string) => Promise<Measurement>,
): Promise<{ runs: Runs; wrong: string[] }> {
  const { db } = stores;
  const sale = await lab.world.sale({
    ...{ skus: 1, qty: PLENTY, limit: 1_000_000 },
    hold_seconds: HOLD_SECONDS,
  });
  const bodies = bodiesFile(lab, sale);
  const { sale_no } = await saleRow(db, sale);
  const deadlines = await holdBackDeadlines(db);
  try {
    await putHolds(stores, { sale, sku: SKU, count: holds, say });
    const last = await untilAllAreOver(db, sale_no);
    // Compilers and caches.
    await load(bodies);
    const before = await load(bodies);
    tell('before', before);
    await deadlines.letGo();
    const followed = follow(untilBack(db, sale_no, last));
    const during: Measurement[] = [];
    do {
      const measured = await load(bodies);
      // What was measured after the end of the wave says nothing about it, unless there is nothing else.
      if (!followed.over() || during.length === 0) during.push(measured);
      tell('while holds run out', measured);
    } while (!followed.over());
    const wave = await followed.wave;
    say(`  all expired after ${wave.expired_s.toFixed(1)} s, all on sale after ${wave.back_s.toFixed(1)} s`);
    const after = await load(bodies);
    tell('after', after);
    say('  checking the books');
    const wrong = await lab.world.audit([sale]);
    const ended = await expiredOf(stores, sale_no);
    if (ended < holds) wrong.push(`${ended} of ${holds} holds have expired`);
    wrong.push(...[before, ...during, after].flatMap(failuresOf));
    return { runs: { before, during, after, wave }, wrong };
  } finally {
    deadlines.stop();
  }

  function tell(when: string, { requests_per_s, p99_ms, cpu_us }: Measurement): void {
    const cpu = Object.entries(cpu_us).map(([name, us]) => `${name} ${us.toFixed(0)}`);
    say(
      `  ${when}: ${Math.round(requests_per_s).toLocaleString('en')}/s, p99 ${p99_ms.toFixed(1)} ms; CPU us: ${cpu.join(', ')}`,
    );
  }
}

function follow(wave: Promise<Wave>): { wave: Promise<Wave>; over: () => boolean } {
  let over = false;
  const end = () => {
    over = true;
  };
  wave.then(end, end);
  return { wave, over: () => over };
}

async function expiredOf({ db }: Stores, sale_no: number): Promise<number> {
  const { rows } = await db.query<{ orders: number }>({
    text: `SELECT count(*) AS orders FROM orders WHERE sale_no = $1 AND state = 'expired' AND road = 'lock'`,
    values: [sale_no],
  });
  return rows[0]?.orders ?? 0;
}

function failuresOf({ failed, requests, counts }: Measurement): string[] {
  const all = failed + (counts?.failed ?? 0);
  return all > 0 ? [`${all} of ${requests} requests failed`] : [];
}

function stockFigures({ runs }: { runs: Runs }, holds: number): Figure[] {
  const { back_s, expired_s } = runs.wave;
  const of = `of ${holds.toLocaleString('en')} holds`;
  return [
    { what: `all stock ${of} back on sale`, value: back_s, unit: 's', bar: { at_most: 60 } },
    { what: `all ${of.slice(3)} expired in the ledger`, value: expired_s, unit: 's' },
    { what: 'holds given back', value: holds / back_s, unit: 'holds/s' },
  ];
}

function loadFigures(how: string, { before, during, after }: Runs): Figure[] {
  const usual = {
    rate: mean(before.requests_per_s, after.requests_per_s),
    p99: mean(before.p99_ms, after.p99_ms),
  };
  const ratios = spread(during.map((measured) => measured.requests_per_s / usual.rate));
  const p99 = spread(during.map((measured) => measured.p99_ms));
  if (!ratios || !p99) return [];
  return [
    {
      what: `checkouts while holds run out against before and after, ${how}`,
      ...{ value: ratios.median, unit: 'times', spread: ratios, bar: { at_least: 0.95 } },
    },
    { what: `checkouts before and after, ${how}`, value: usual.rate, unit: 'requests/s' },
    { what: `p99 while holds run out, ${how}`, value: p99.median, unit: 'ms', spread: p99 },
    { what: `p99 before and after, ${how}`, value: usual.p99, unit: 'ms' },
  ];
}

const mean = (a: number, b: number) => (a + b) / 2;
