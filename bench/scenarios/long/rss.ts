/** Does an engine's memory stay where it is? Checkouts at a steady rate for a long time, with the resident memory of each process. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runOpenLoop } from '../../lab/clients/open-loop.ts';
import { openLab } from '../../lab/laboratory.ts';
import { measure } from '../../lab/measure.ts';
import { bodiesFile, loadOf } from '../load.ts';
import type { Curve, Figure, Stand } from '../stand.ts';

const PLENTY = 100_000_000;
const SAMPLES = 300;
const MIB = 2 ** 20;
/** The engine's and the reconciler's are our own; the stores' grow with what they hold. */
const PROCESSES = ['engine', 'reconciler'] as const;

type Sample = { at_s: number } & Record<(typeof PROCESSES)[number], number>;

export const rss: Stand = {
  name: 'rss',
  what: 'Resident memory of the engine over a long run of checkouts at a steady rate.',
  sizes: {
    'rss-seconds': { what: 'length of the run', standard: 900, quick: 10 },
    'rss-rate': { what: 'checkouts/s offered', standard: 1_500, quick: 200 },
  },
  async measure({ sizes, connections, quick, say }) {
    const { 'rss-seconds': seconds = 0, 'rss-rate': rate = 0 } = sizes;
    const laboratory = openLab({ seconds, connections, buyers: quick ? 1_000 : 20_000, quick });
    try {
      const lab = await laboratory.get();
      const { world } = lab;
      const sale = await world.sale({ skus: 1, qty: PLENTY, limit: 1_000_000 });
      const bodies = bodiesFile(lab, sale);
      const samples: Sample[] = [];
      const begun = performance.now();
      let over = false;
      const look = async () => {
        while (!over) {
          const at_s = (performance.now() - begun) / 1_000;
          const [engine, reconciler] = PROCESSES.map((name) => residentBytes(world.spot.pids[name] ?? 0));
          samples.push({ at_s, engine: engine ?? 0, reconciler: reconciler ?? 0 });
          if (samples.length % (SAMPLES / 10) === 0)
            say(`  ${at_s.toFixed(0)} s: engine ${mib(engine)}, reconciler ${mib(reconciler)}`);
          await sleep((seconds * 1_000) / SAMPLES);
        }
      };
      const looked = look();
      const loaded = measure(world.spot, (url) => runOpenLoop({ ...loadOf(lab, url, bodies), rate })).finally(
        () => {
          over = true;
        },
      );
      const [measured] = await Promise.all([loaded, looked]);
      say('  checking the books');
      const wrong = await world.audit([sale]);
      if (measured.failed > 0) wrong.push(`${measured.failed} of ${measured.requests} requests failed`);
      return { figures: figuresOf(samples, measured.requests), curves: [curveOf(samples)], wrong };
    } finally {
      await laboratory.close();
    }
  },
};

function residentBytes(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1_024;
}

/** The last quarter of the run against the second: the first is compilers, caches and the heap that finds its size. */
function figuresOf(samples: readonly Sample[], requests: number): Figure[] {
  const quarter = (n: number, name: (typeof PROCESSES)[number]) =>
    median(
      samples.slice(((n - 1) * samples.length) / 4, (n * samples.length) / 4).map((sample) => sample[name]),
    );
  return [
    ...PROCESSES.flatMap((name): Figure[] => {
      const [early, late] = [quarter(2, name), quarter(4, name)];
      return [
        {
          what: `resident memory of the ${name}, last quarter of the run against the second`,
          ...{ value: late / early, unit: 'times' },
          ...(name === 'engine' ? { bar: { at_most: 1.05 } } : {}),
        },
        { what: `resident memory of the ${name}, last quarter`, value: late / MIB, unit: 'MiB' },
        {
          what: `resident memory of the ${name}, most`,
          value: Math.max(...samples.map((sample) => sample[name])) / MIB,
          unit: 'MiB',
        },
      ];
    }),
    { what: 'checkouts of the run', value: requests, unit: 'requests' },
  ];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function curveOf(samples: readonly Sample[]): Curve {
  return {
    title: 'Resident memory over a long run',
    ...{ x: 's since the begin', y: 'MiB' },
    lines: PROCESSES.map((name) => ({
      name,
      points: samples.map((sample) => ({ x: sample.at_s, y: sample[name] / MIB })),
    })),
  };
}

const mib = (bytes = 0) => `${Math.round(bytes / MIB)} MiB`;
