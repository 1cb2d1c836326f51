/** What scenarios run in, made when the first of them needs it: a stack, the raw echo, tokens of buyers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../scenarios/scenario.ts';
import { startEcho } from './echo.ts';
import type { Options } from './options.ts';
import { startWorld, writeTokens } from './world.ts';

export type LabOptions = Pick<Options, 'seconds' | 'connections' | 'buyers' | 'quick'> & {
  /** Of the stack, over what the lab sets. */
  env?: Readonly<Record<string, string>>;
};

export type Laboratory = { get(): Promise<Lab>; close(): Promise<void> };

const say = (line: string) => void process.stderr.write(`${line}\n`);

export function openLab({ seconds, connections, buyers, quick, env }: LabOptions): Laboratory {
  const closing: (() => Promise<void> | void)[] = [];
  let made: Promise<Lab> | undefined;
  async function make(): Promise<Lab> {
    const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
    closing.push(() => rmSync(dir, { recursive: true, force: true }));
    const world = await startWorld(env);
    closing.push(world.close);
    const echo = await startEcho(world.alone);
    closing.push(echo.close);
    const tokens_file = writeTokens(world.stack, dir, buyers);
    return { world, echo, seconds, connections, dir, tokens_file, buyers, quick, say };
  }
  return {
    get() {
      made ??= make();
      return made;
    },
    async close() {
      for (const close of closing.reverse()) await close();
    },
  };
}
