/** What a scenario's runs come to: pure, from measurements to what is written down. */
import type { Scenario } from '../scenarios/scenario.ts';
import { type Bar, type Figure, isMet } from '../scenarios/stand.ts';
import { type Counts, combine, NO_COUNTS } from './counts.ts';
import type { Measurement } from './measure.ts';
import type { Compared, Metric } from './pairs.ts';
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
  /** Share of the time that the client had nothing to do. */
  client_idle: Spread | undefined;
  /** The client had hardly anything of that: the servers could have done more. */
  client_ceiling: boolean;
  /** How long after the last answer the ledger had everything, s. */
  drain_s: Spread | undefined;
  /** Of a client with a schedule: how late it was itself. */
  late_p99_ms: Spread | undefined;
  /** p99 counted from the sending instead of from when it was due. */
  sent_p99_ms: Spread | undefined;
};

/** `not shown`: the client's ceiling stands between the ratio and what the bar asks for. */
export type Verdict = 'met' | 'not met' | 'not shown';

export type Result = {
  name: string;
  what: string;
  /** What the ratio is of. */
  metric: Metric;
  ratio: Spread | undefined;
  /** Of the ratio. */
  bar: Bar | undefined;
  verdict: Verdict | undefined;
  pairs: number;
  discarded: number;
  a: Side;
  b: Side;
  /** What was measured besides. */
  figures: Figure[];
  /** What the books say against it. A result with anything here is none. */
  wrong: string[];
};

export function resultOf(
  scenario: Pick<Scenario, 'name' | 'what' | 'a' | 'b' | 'bar' | 'metric'>,
  compared: Compared,
  { wrong, figures = [] }: { wrong: readonly string[]; figures?: readonly Figure[] },
): Result {
  const sides = { a: compared.pairs.map((pair) => pair.a), b: compared.pairs.map((pair) => pair.b) };
  const lost = [...sides.a, ...sides.b].flatMap(uncounted);
  const { name, what, bar, metric = 'requests_per_s' } = scenario;
  const [a, b] = [sideOf(scenario.a, sides.a), sideOf(scenario.b, sides.b)];
  const { ratio, discarded } = compared;
  const verdict = ratio && bar ? verdictOf(ratio.median, bar, metric, { a, b }) : undefined;
  return {
    ...{ name, what, metric, ratio, bar, verdict, pairs: compared.pairs.length, discarded, a, b },
    figures: [...figures],
    wrong: [...wrong, ...lost],
  };
}

/** A side whose client was the limit could have done better, and the ratio is a bound only: it must not say what it does not show. */
function verdictOf(ratio: number, bar: Bar, metric: Metric, { a, b }: { a: Side; b: Side }): Verdict {
  const met = isMet(ratio, bar);
  const ours_first = 'at_least' in bar === (metric === 'requests_per_s');
  const [ours, theirs] = ours_first ? [a, b] : [b, a];
  if ((met ? theirs : ours).client_ceiling) return 'not shown';
  return met ? 'met' : 'not met';
}

function sideOf(what: string, runs: readonly Measurement[]): Side {
  const of = (read: (run: Measurement) => number) => spread(runs.map(read));
  const client_idle = of((run) => run.client_idle);
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
    client_idle,
    client_ceiling: (client_idle?.median ?? 1) < CLIENT_IDLE_MIN,
    drain_s: spread(runs.flatMap(({ drain_s }) => drain_s ?? [])),
    late_p99_ms: spread(runs.flatMap(({ schedule }) => schedule?.late_p99_ms ?? [])),
    sent_p99_ms: spread(runs.flatMap(({ schedule }) => schedule?.sent_p99_ms ?? [])),
  };
}

function countsOf(runs: readonly Measurement[]): Side['counts'] {
  const counted = runs.flatMap(({ counts, requests }) => (counts ? [{ counts, requests }] : []));
  if (counted.length === 0) return undefined;
  const sum = counted.reduce((all, { counts }) => combine(all, counts, (x, y) => x + y), NO_COUNTS);
  return { offered: counted.reduce((all, { requests }) => all + requests, 0), ...sum };
}

/** Answers that broke off, and requests that failed: a run that lost any measured something else. */
function uncounted(run: Measurement): string[] {
  const failed = run.failed + (run.counts?.failed ?? 0);
  return failed > 0 ? [`${failed} of ${run.requests} requests failed`] : [];
}

export function lineOf(result: Result): string {
  const name = result.name.padEnd(14);
  if (result.wrong.length > 0) return `${name} NO RESULT: ${result.wrong.join('; ')}`;
  if (!result.ratio) return `${name} NO RESULT: the machine was too busy (${result.discarded} discarded)`;
  const { median, min, max } = result.ratio;
  const bar = result.bar ? `  bar ${barText(result.bar)}: ${result.verdict}` : '';
  const of = result.metric === 'p99_ms' ? 'p99 ratio' : 'ratio';
  return [
    `${name} ${of} ${median.toFixed(3)} (${min.toFixed(3)} to ${max.toFixed(3)})${bar}`,
    ...[result.a, result.b].map((side) => `  ${lineOfSide(side)}`),
    ...result.figures.map((figure) => `  ${lineOfFigure(figure)}`),
  ].join('\n');
}

function lineOfSide(side: Side): string {
  const late = side.late_p99_ms
    ? ` (${ms(side.sent_p99_ms)} from the sending, the client itself late by ${ms(side.late_p99_ms)})`
    : '';
  const drained = side.drain_s ? `, in the ledger ${side.drain_s.median.toFixed(1)} s later` : '';
  const { offered, ...became } = side.counts ?? { offered: 0 };
  const counts = Object.entries(became).flatMap(([kind, n]) => (n > 0 ? [`${kind} ${n}`] : []));
  const counted = offered > 0 ? `; of ${offered} ${counts.join(', ')}` : '';
  const cpu = Object.entries(side.cpu_us).map(([name, us]) => `${name} ${us}`);
  const client = side.client_ceiling
    ? 'client ceiling'
    : `client idle ${Math.round(100 * (side.client_idle?.median ?? 0))}%`;
  return `${side.what}: ${per(side.requests_per_s)}, p99 ${ms(side.p99_ms)}${late}${drained}; ${client}; CPU us: ${cpu.join(', ')}${counted}`;
}

export function lineOfFigure({ what, value, unit, bar }: Figure): string {
  const verdict = bar ? `  bar ${barText(bar)}: ${isMet(value, bar) ? 'met' : 'not met'}` : '';
  return `${what}: ${figureText(value)} ${unit}${verdict}`;
}

/** Four digits are enough of anything measured. */
export function figureText(value: number): string {
  const digits = Math.max(0, Math.min(3, 3 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

const barText = (bar: Bar) => ('at_least' in bar ? `at least ${bar.at_least}` : `at most ${bar.at_most}`);
const per = (rate: Spread | undefined) => `${Math.round(rate?.median ?? 0).toLocaleString('en')}/s`;
const ms = (time: Spread | undefined) => `${(time?.median ?? Number.NaN).toFixed(2)} ms`;
