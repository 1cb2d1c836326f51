/** What a scenario is: two things compared, over one world, with the books checked after each run. */
import type { Echo } from '../lab/echo.ts';
import type { Measurement } from '../lab/measure.ts';
import type { World } from '../lab/world.ts';

export type Scenario = {
  name: string;
  /** One sentence: what is held against what. */
  what: string;
  /** What A and B are, for the report. */
  a: string;
  b: string;
  /** The ratio that is wanted, and what it is of. */
  bar?: { at_least: number };
  prepare(lab: Lab): Promise<Contest>;
};

export type Contest = {
  a: () => Promise<Measurement>;
  b: () => Promise<Measurement>;
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
};
