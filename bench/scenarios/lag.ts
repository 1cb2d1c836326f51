/** How far the ledger is behind while as many checkouts come as the engine takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../platform/local/ports.ts';
import { openLab } from '../lab/laboratory.ts';
import { bodiesFile, run } from './load.ts';
import type { Curve, Figure, Stand } from './stand.ts';

const PLENTY = 100_000_000;
const LOOK_EVERY_MS = 50;
const LAG_MS_MAX = 250;

type Sample = { at_s: number; lag_ms: number };

export const lag: Stand = {
  name: 'lag',
  what: 'How long the oldest checkout that the ledger does not have has waited, while as many come as the engine takes.',
  sizes: { 'lag-seconds': { what: 'length of the run', standard: 30, quick: 3 } },
  async measure({ sizes, connections, quick, say }) {
    const { 'lag-seconds': seconds = 0 } = sizes;
    const port = await freePort();
    const env = { RECONCILER_PORT: String(port) };
    const laboratory = openLab({ seconds, connections, buyers: quick ? 1_000 : 20_000, quick, env });
    try {
      const lab = await laboratory.get();
      const { world } = lab;
      const sale = await world.sale({ skus: 1, qty: PLENTY, limit: 1_000_000 });
      const bodies = bodiesFile(lab, sale);
      // Compilers first, and what they left behind is ingested.
      await run(lab, world.spot, bodies, { seconds: Math.min(3, seconds) });
      let wrong = await world.audit([sale]);
      const samples: Sample[] = [];
      let over = false;
      const begun = performance.now();
      const look = async () => {
        while (!over) {
          samples.push({ lag_ms: await lagMs(port), at_s: (performance.now() - begun) / 1_000 });
          await sleep(LOOK_EVERY_MS);
        }
      };
      const looked = look();
      const load = run(lab, world.spot, bodies, { seconds }).finally(() => {
        over = true;
      });
      const [measured] = await Promise.all([load, looked]);
      say('  checking the books');
      wrong = [...wrong, ...(await world.audit([sale]))];
      if (measured.failed > 0) wrong.push(`${measured.failed} of ${measured.requests} requests failed`);
      const figures = figuresOf(samples);
      figures.push({ what: 'checkouts meanwhile', value: measured.requests_per_s, unit: 'checkouts/s' });
      return { figures, curves: [curveOf(samples)], wrong };
    } finally {
      await laboratory.close();
    }
  },
};

/** As the reconciler itself tells. */
async function lagMs(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(15_000) });
  const [, seconds] = /^stampede_stream_lag_seconds ([\d.e+-]+)$/m.exec(await response.text()) ?? [];
  if (seconds === undefined) throw new Error('the reconciler tells no lag');
  return Number(seconds) * 1_000;
}

function figuresOf(samples: readonly Sample[]): Figure[] {
  const sorted = samples.map((sample) => sample.lag_ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return [
    { what: 'lag, p50', value: at(0.5), unit: 'ms' },
    { what: 'lag, p99', value: at(0.99), unit: 'ms', bar: { at_most: LAG_MS_MAX } },
    { what: 'lag at worst', value: at(1), unit: 'ms' },
  ];
}

function curveOf(samples: readonly Sample[]): Curve {
  return {
    ...{ title: 'How far the ledger is behind at full load', x: 'time, s', y: 'lag, ms' },
    lines: [
      {
        name: 'oldest checkout not ingested',
        points: samples.map(({ at_s, lag_ms }) => ({ x: at_s, y: lag_ms })),
      },
    ],
  };
}
