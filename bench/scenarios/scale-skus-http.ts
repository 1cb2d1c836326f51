/** A sale of very many SKUs as buyers meet it: how long until it is on sale, what the engine holds of it, what a checkout costs. */
import { readFileSync } from 'node:fs';
import { openLab } from '../lab/laboratory.ts';
import type { Measurement } from '../lab/measure.ts';
import { spread } from '../lab/spread.ts';
import { bodiesFile, run as load } from './load.ts';
import type { Lab } from './scenario.ts';
import type { Figure, Stand, StandRun } from './stand.ts';

const SMALLEST = 1_000;
/** Drawn from all of a sale, so that no request finds its SKU among those of the last ones. */
const SKUS_ASKED_MAX = 20_000;
const BUYERS = 20_000;
const PLENTY = 1_000_000;
const MIB = 2 ** 20;

export const scaleSkusHttp: Stand = {
  name: 'scale-skus-http',
  what: 'Checkouts of one SKU drawn from all of a very large sale, against a sale of 1,000 SKUs; CPU of engine and Redis.',
  sizes: { 'http-skus': { what: 'SKUs of the largest sale', standard: 100_000, quick: 5_000 } },
  async measure(run) {
    const laboratory = openLab({ ...run, buyers: BUYERS });
    try {
      return await measureIn(await laboratory.get(), run);
    } finally {
      await laboratory.close();
    }
  },
};

async function measureIn(lab: Lab, { sizes: { 'http-skus': skus = 0 }, pairs, say }: StandRun) {
  const engine = lab.world.spot.pids.engine ?? 0;
  const small = await lab.world.sale({ skus: SMALLEST, qty: PLENTY });
  const small_bodies = bodiesFile(lab, small, SMALLEST);
  await load(lab, lab.world.spot, small_bodies);
  const rss_before = rssBytes(engine);
  const started = performance.now();
  const large = await lab.world.sale({ skus, qty: PLENTY });
  const load_s = (performance.now() - started) / 1_000;
  say(`  ${skus.toLocaleString('en')} SKUs on sale after ${load_s.toFixed(1)} s`);
  const asked = Math.min(skus, SKUS_ASKED_MAX);
  const large_bodies = bodiesFile(lab, large, asked, 1, Math.floor(skus / asked));
  await load(lab, lab.world.spot, large_bodies);
  const rss_after = rssBytes(engine);
  const ratios: { cpu: number; rate: number }[] = [];
  for (let pair = 1; pair <= pairs; pair += 1) {
    const a = await load(lab, lab.world.spot, large_bodies);
    const b = await load(lab, lab.world.spot, small_bodies);
    const ratio = { cpu: cpuOf(a) / cpuOf(b), rate: a.requests_per_s / b.requests_per_s };
    ratios.push(ratio);
    say(`  pair ${pair}: CPU ${ratio.cpu.toFixed(3)} times, checkouts/s ${ratio.rate.toFixed(3)} times`);
  }
  say('  checking the books');
  const wrong = await lab.world.audit([small, large]);
  const cpu = spread(ratios.map((ratio) => ratio.cpu));
  const rate = spread(ratios.map((ratio) => ratio.rate));
  if (!cpu || !rate) throw new Error('no pair was measured');
  const against = `at ${skus.toLocaleString('en')} SKUs against ${SMALLEST.toLocaleString('en')}`;
  const figures: Figure[] = [
    {
      ...{ what: `CPU of engine and Redis for a checkout ${against}`, unit: 'times' },
      ...{ value: cpu.median, spread: cpu, bar: { at_most: 1.15 } },
    },
    { what: `checkouts a second ${against}`, unit: 'times', value: rate.median, spread: rate },
    { what: 'from creating the sale in the ledger until it is on sale', unit: 's', value: load_s },
    { what: 'RSS of the engine that sells the small sale', unit: 'MiB', value: rss_before / MIB },
    { what: 'RSS of the engine that sells both', unit: 'MiB', value: rss_after / MIB },
  ];
  return { figures, wrong };
}

const cpuOf = ({ cpu_us: { engine = 0, redis = 0 } }: Measurement) => engine + redis;

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
