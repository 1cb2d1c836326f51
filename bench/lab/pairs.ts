/**
 * Two things compared on a machine that is never quiet: in turn, A B A B, each pair between two runs of the raw echo. A pair
 * whose echoes differ by more than 10% says something about the machine and not about A and B: it is discarded and made anew.
 */
import type { Measurement } from './measure.ts';
import { type Spread, spread } from './spread.ts';

export type Pair = { a: Measurement; b: Measurement; echo: readonly [number, number] };

export type Compared = {
  pairs: readonly Pair[];
  /** A's over B's, pair by pair. */
  ratio: Spread | undefined;
  discarded: number;
};

/** What of two runs is compared. */
export type Metric = 'requests_per_s' | 'p99_ms';

export type PairsOptions = {
  pairs: number;
  /** Default requests/s. */
  metric?: Metric;
  /** Requests/s of a short run of the raw echo. */
  echo: () => Promise<number>;
  a: () => Promise<Measurement>;
  b: () => Promise<Measurement>;
  say: (line: string) => void;
  /** Default 0.1. */
  drift_max?: number;
};

const DRIFT_MAX = 0.1;
/** As many may be discarded as are wanted; then the machine is too busy to say anything. */
const TRIES = 2;

export async function comparePairs(options: PairsOptions): Promise<Compared> {
  const { a, b, echo, say, drift_max = DRIFT_MAX, metric = 'requests_per_s' } = options;
  const ratioOf = (pair: Pair) => pair.a[metric] / pair.b[metric];
  const pairs: Pair[] = [];
  let discarded = 0;
  while (pairs.length < options.pairs && pairs.length + discarded < TRIES * options.pairs) {
    const before = await echo();
    const pair = { a: await a(), b: await b(), echo: [before, await echo()] as const };
    const drift = driftOf(pair.echo);
    if (drift > drift_max) {
      discarded += 1;
      say(`  discarded: the raw echo went from ${rate(pair.echo[0])} to ${rate(pair.echo[1])}`);
      continue;
    }
    pairs.push(pair);
    const [of_a, of_b] = [pair.a[metric], pair.b[metric]].map((value) => show(metric, value));
    say(`  pair ${pairs.length}: ${of_a} to ${of_b}, ratio ${ratioOf(pair).toFixed(3)}`);
  }
  return { pairs, ratio: spread(pairs.map(ratioOf)), discarded };
}

/** How far two runs of the same thing are apart, as a share of the greater. */
function driftOf([before, after]: readonly [number, number]): number {
  return Math.abs(before - after) / Math.max(before, after);
}

const show = (metric: Metric, value: number) =>
  metric === 'p99_ms' ? `${value.toFixed(2)} ms` : rate(value);
const rate = (value: number) => `${Math.round(value).toLocaleString('en')}/s`;
