/**
 * What a stand is: a measurement that is not two things in turn, but figures, each with its bar, and curves. It starts what
 * it needs and ends it; its books are checked like those of a scenario.
 */
import { type Spread, spread } from '../lab/spread.ts';

export type Stand = {
  name: string;
  /** One sentence: what is measured. */
  what: string;
  /** Its options on the command line, whole numbers: `{ holds: ... }` is `--holds N`. Equal names mean the same. */
  sizes: Readonly<Record<string, Size>>;
  measure(run: StandRun): Promise<StandResult>;
};

export type Size = { what: string; standard: number; quick: number };

export type StandRun = {
  /** Every one of the stand's. */
  sizes: Readonly<Record<string, number>>;
  seconds: number;
  pairs: number;
  connections: number;
  quick: boolean;
  say: (line: string) => void;
};

export type StandResult = {
  figures: Figure[];
  curves?: Curve[];
  /** What the books say against it. A result with anything here is none. */
  wrong: string[];
};

export type Figure = {
  what: string;
  value: number;
  /** As in `us`, `bytes`, `s`, `orders/s`; "times" for a ratio. */
  unit: string;
  spread?: Spread;
  bar?: Bar;
};

/** The median of these with their extremes; no figure of no values. */
export function medianFigure(what: string, unit: string, values: readonly number[], bar?: Bar): Figure[] {
  const of = spread(values);
  return of ? [{ what, value: of.median, unit, spread: of, ...(bar ? { bar } : {}) }] : [];
}

export type Bar = { at_least: number } | { at_most: number };

/** One chart: lines over a common axis. */
export type Curve = {
  title: string;
  x: string;
  y: string;
  log_x?: boolean;
  /** Of y. */
  bar?: Bar;
  lines: { name: string; points: { x: number; y: number }[] }[];
};

export function isMet(value: number, bar: Bar): boolean {
  return 'at_least' in bar ? value >= bar.at_least : value <= bar.at_most;
}
