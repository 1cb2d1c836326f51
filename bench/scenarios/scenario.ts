/** What a scenario is: two things compared, over one world, with the books checked after each run. */
import type { Echo } from '../lab/echo.ts';
import type { Measurement } from '../lab/measure.ts';
import type { Metric, Pair } from '../lab/pairs.ts';
import type { World } from '../lab/world.ts';
import type { Bar, Figure } from './stand.ts';

export type Scenario = {
  name: string;
  /** One sentence: what is held against what. */
  what: string;
  /** What A and B are, for the report. */
  a: string;
  b: string;
  /** What is compared; default requests/s. */
  metric?: Metric;
  /** The ratio that is wanted. */
  bar?: Bar;
  prepare(lab: Lab): Promise<Contest>;
};

export type Contest = {
  a: () => Promise<Measurement>;
  b: () => Promise<Measurement>;
  /** After all runs: what is worth telling besides, of the pairs that counted. */
  figures?: (pairs: readonly Pair[]) => Promise<Figure[]>;
  /** After all runs: what is wrong in the books; empty if nothing. */
  audit: () => Promise<string[]>;
};

export type Lab = {
  world: World;
  echo: Echo;
  /** Of one run. */
  seconds: number;
  connections: number;
  /** Files of tokens and bodies are made here. */
  dir: string;
  tokens_file: string;
  buyers: number;
  /** Does it work at all: less is enough. */
  quick: boolean;
  /** A line of progress. */
  say: (line: string) => void;
};
