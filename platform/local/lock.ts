/** One stack a data folder. */
import { linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeJson } from './json-file.ts';
import { describeProcess } from './processes.ts';

export type LockHolder = { pid: number; started: string };

/**
 * Takes the lock of `folder` for this process until it ends in whatever way, or returns who has it.
 *
 * A lock is a numbered file; the highest number counts, as long as its process lives. Taking over from a
 * dead one is making the next number, which only one can do: so no two ever take over at once, as they
 * could by removing a file and making it again. Files of the dead are swept, the highest one never.
 */
export function takeLock(folder: string): LockHolder | undefined {
  const locks = join(folder, 'lock');
  mkdirSync(locks, { recursive: true, mode: 0o700 });
  const mine = join(locks, `by-${process.pid}`);
  writeJson(mine, { pid: process.pid, started: describeProcess(process.pid)?.started ?? '' });
  try {
    for (;;) {
      const numbers = numbersIn(locks);
      const highest = Math.max(0, ...numbers);
      const holder = livingHolder(join(locks, String(highest)));
      if (holder) return holder;
      try {
        linkSync(mine, join(locks, String(highest + 1)));
        for (const number of numbers) rmSync(join(locks, String(number)), { force: true });
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Who runs a stack on `folder` now, if anybody. */
export function lockHolder(folder: string): LockHolder | undefined {
  const locks = join(folder, 'lock');
  return livingHolder(join(locks, String(Math.max(0, ...numbersIn(locks)))));
}

function numbersIn(locks: string): number[] {
  try {
    return readdirSync(locks).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function livingHolder(file: string): LockHolder | undefined {
  const holder = readJson<LockHolder>(file);
  if (!holder || describeProcess(holder.pid)?.started !== holder.started) return undefined;
  return holder;
}
