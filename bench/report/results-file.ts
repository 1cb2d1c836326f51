/**
 * The file of results: one entry a scenario or stand, each with its own date, commit and settings, so that the whole can be
 * measured in pieces. Measuring one again replaces its entry alone.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Machine } from '../lab/machine.ts';
import type { Result } from '../lab/result.ts';
import type { StandResult } from '../scenarios/stand.ts';

export type Measured = {
  name: string;
  what: string;
  /** ISO 8601, of its end. */
  measured_at: string;
  machine: Machine;
  /** What the command line said, or would have said. */
  settings: Readonly<Record<string, number | boolean>>;
} & ({ kind: 'scenario'; result: Result } | { kind: 'stand'; result: StandResult });

/** Empty where there is none yet. */
export function readResults(file: string): Measured[] {
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { measured: Measured[] }).measured;
}

/** Puts `fresh` in the place of what has its name. */
export function mergeResult(all: readonly Measured[], fresh: Measured): Measured[] {
  const at = all.findIndex(({ name }) => name === fresh.name);
  return at < 0 ? [...all, fresh] : all.with(at, fresh);
}

/** All or nothing: who reads meanwhile sees the old file or the new one. */
export function writeResult(file: string, fresh: Measured): void {
  mkdirSync(dirname(file), { recursive: true });
  const written = { measured: mergeResult(readResults(file), fresh) };
  writeFileSync(`${file}.new`, `${JSON.stringify(written, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}
