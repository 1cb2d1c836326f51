/** What a fault is. */
import type { World } from '../world/world.ts';

export const FAULT_CLASSES = [
  'kill',
  'stop',
  'restart',
  'reset',
  'half_open',
  'delay',
  'one_way',
  'full_disk',
  'slow_disk',
  'torn_aof',
  'old_aof',
  'flushall',
  'script_flush',
  'clock',
  'failover',
] as const;
export type FaultClass = (typeof FAULT_CLASSES)[number];

export type FaultContext = {
  world: World;
  /** Draws for this fault alone. */
  random: () => number;
  /** Of the history. */
  now_ms: () => number;
  sleep: (ms: number) => Promise<unknown>;
};

/** What was done. Without `loss` nothing that was acknowledged may be missing afterwards. */
export type Struck = { detail: string; loss?: { from: number; until: number } };

export type Fault = {
  class: FaultClass;
  /** Unique. */
  name: string;
  /** Two faults at the same target are never under way together. */
  target: string;
  /** Works only with the library for disks and clocks. */
  troubles?: true;
  /** Begins it, lets it last, heals it. Resolves when everything that it touched runs again. */
  strike(context: FaultContext): Promise<Struck>;
};

/** A number from `least` to `most`. */
export const between = (random: () => number, least: number, most: number): number =>
  Math.round(least + random() * (most - least));
