/** What a scenario's runs come to: pure, from measurements to what is written down. */
import type { Scenario } from '../scenarios/scenario.ts';
import type { Counts } from './counts.ts';
import type { Measurement } from './measure.ts';
import type { Compared } from './pairs.ts';
import { type Spread, spread } from './spread.ts';

/** A client that waits less than this share of the time may be what limits. */
const CLIENT_IDLE_MIN = 0.1;

export type Side = {
  what: string;
  requests_per_s: Spread | undefined;
  p50_ms: Spread | undefined;
  p99_ms: Spread | undefined;
  /** CPU of each process for one answer, us; the median run's. */
  cpu_us: Record<string, number>;
  /** All runs together. */
  counts: (Counts & { offered: number }) | undefined;
  /** The client had no time to wait: the servers could have done more. */
  client_ceiling: boolean;
};

export type Result = {
  name: string;
  what: string;
  ratio: Spread | undefined;
  bar: number | undefined;
  pairs: number;
  discarded: number;
  a: Side;
  b: Side;
  /** What the books say against it. A result with anything here is none. */
  wrong: string[];
};

export function resultOf(scenario: Scenario, compared: Compared, wrong: readonly string[]): Result {
  const sides = { a: compared.pairs.map((pair) => pair.a), b: compared.pairs.map((pair) => pair.b) };
  const lost = [...sides.a, ...sides.b].flatMap(uncounted);
  return {
    name: scenario.name,
    what: scenario.what,
    ratio: compared.ratio,
    bar: scenario.bar?.at_least,
    pairs: compared.pairs.length,
    discarded: compared.discarded,
    a: sideOf(scenario.a, sides.a),
    b: sideOf(scenario.b, sides.b),
    wrong: [...wrong, ...lost],
  };
}

function sideOf(what: string, runs: readonly Measurement[]): Side {
  const of = (read: (run: Measurement) => number) => spread(runs.map(read));
  const processes = Object.keys(runs[0]?.cpu_us ?? {});
  return {
    what,
    requests_per_s: of((run) => run.requests_per_s),
    p50_ms: of((run) => run.p50_ms),
    p99_ms: of((run) => run.p99_ms),
    cpu_us: Object.fromEntries(
      processes.map((name) => [
        name,
        Math.round((of((run) => run.cpu_us[name] ?? 0)?.median ?? 0) * 10) / 10,
      ]),
    ),
    counts: countsOf(runs),
    client_ceiling: (of((run) => run.client_idle)?.median ?? 1) < CLIENT_IDLE_MIN,
  };
}

function countsOf(runs: readonly Measurement[]): Side['counts'] {
  const counted = runs.flatMap((run) => (run.counts ? [{ ...run.counts, offered: run.requests }] : []));
  if (counted.length === 0) return undefined;
  const sum = (read: (counts: Counts & { offered: number }) => number) =>
    counted.reduce((total, counts) => total + read(counts), 0);
  return {
    offered: sum((counts) => counts.offered),
    accepted: sum((counts) => counts.accepted),
    refused: sum((counts) => counts.refused),
    replayed: sum((counts) => counts.replayed),
    failed: sum((counts) => counts.failed),
  };
}

/** Answers that broke off, and requests that failed: a run that lost any measured something else. */
function uncounted(run: Measurement): string[] {
  const failed = run.failed + (run.counts?.failed ?? 0);
  return failed > 0 ? [`${failed} of ${run.requests} requests failed`] : [];
}

export function lineOf(result: Result): string {
  if (result.wrong.length > 0) return `${result.name.padEnd(14)} NO RESULT: ${result.wrong.join('; ')}`;
  if (!result.ratio)
    return `${result.name.padEnd(14)} NO RESULT: the machine was too busy (${result.discarded} discarded)`;
  const { median, min, max } = result.ratio;
  const bar =
    result.bar === undefined ? '' : `  bar ${result.bar}: ${median >= result.bar ? 'met' : 'NOT met'}`;
  const ceiling = result.a.client_ceiling || result.b.client_ceiling ? '  (client ceiling)' : '';
  const cpu = Object.entries(result.a.cpu_us)
    .map(([name, us]) => `${name} ${us}`)
    .join(', ');
  return [
    `${result.name.padEnd(14)} ratio ${median.toFixed(3)} (${min.toFixed(3)} to ${max.toFixed(3)})${bar}${ceiling}`,
    `  ${result.a.what}: ${per(result.a.requests_per_s)}, p99 ${result.a.p99_ms?.median.toFixed(1)} ms; CPU us: ${cpu}`,
    `  ${result.b.what}: ${per(result.b.requests_per_s)}`,
  ].join('\n');
}

const per = (rate: Spread | undefined) => `${Math.round(rate?.median ?? 0).toLocaleString('en')}/s`;
