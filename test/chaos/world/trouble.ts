/**
 * Slow disk, full disk and a clock that is off, in chosen processes, while they run: a small library (shim.c) is
 * preloaded into them and reads what is wrong from a file. Needs no privilege, and a C compiler once (fetched where there is none).
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianTool } from '../../../platform/local/debian-packages.ts';

export type Trouble = { clock_ms?: number; slow_us?: number; full?: boolean };

export type TroubleMaker = {
  /** Environment of a process that can be troubled under this name. Empty where there is no library. */
  env(name: string): Record<string, string>;
  /** What is wrong for `name` from now on; nothing if empty. */
  set(name: string, trouble: Trouble): void;
  /** Why there is no library; the faults that need it are left out then. */
  missing?: string;
};

const SOURCE = fileURLToPath(new URL('./shim.c', import.meta.url));

/** `folder` must be one that every account may enter. */
export async function troubleMaker(folder: string): Promise<TroubleMaker> {
  const library = join(folder, 'trouble.so');
  const missing = await compile(library);
  const file = (name: string) => join(folder, `trouble-${name}`);
  const write = (name: string, { clock_ms = 0, slow_us = 0, full = false }: Trouble) => {
    const bytes = Buffer.alloc(24);
    bytes.writeBigInt64LE(BigInt(Math.round(clock_ms)), 0);
    bytes.writeBigInt64LE(BigInt(Math.round(slow_us)), 8);
    bytes.writeBigInt64LE(full ? 1n : 0n, 16);
    // In place: the file is mapped.
    writeFileSync(file(name), bytes, { flag: 'r+' });
  };
  return {
    missing,
    env(name): Record<string, string> {
      if (missing) return {};
      // Started again in the midst of a trouble, it has it still.
      if (!existsSync(file(name))) writeFileSync(file(name), Buffer.alloc(24), { mode: 0o644 });
      return { LD_PRELOAD: library, CHAOS_TROUBLE: file(name) };
    },
    set: write,
  };
}

/** Returns why it could not be done. */
async function compile(library: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'preloading a library is done on Linux only';
  const output = ['-w', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'];
  for (const compiler of ['cc', 'gcc', 'clang', 'tcc']) {
    try {
      execFileSync(compiler, output, { stdio: 'pipe' });
      chmodSync(library, 0o755);
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        return `the C compiler refused shim.c: ${(error as Error).message}`;
      }
    }
  }
  return compileFetched(library, output);
}

/** With a small compiler out of Debian's packages. */
async function compileFetched(library: string, output: readonly string[]): Promise<string | undefined> {
  try {
    const packages = ['tcc', 'libc6-dev'];
    const { path, env } = await debianTool({ packages, binary: 'usr/bin/tcc', say: console.error });
    const root = join(dirname(path), '../..');
    const triplets = readdirSync(join(root, 'usr/lib')).map((name) => join('usr/lib', name));
    const own = triplets.find((folder) => existsSync(join(root, folder, 'tcc')));
    if (!own) return 'the fetched tcc is not whole';
    const include = ['usr/include', own.replace('/lib/', '/include/')].map(
      (folder) => `-I${join(root, folder)}`,
    );
    const where = [`-B${join(root, own, 'tcc')}`, `-L${join(root, own)}`, ...include];
    execFileSync(path, [...where, ...output], { env: { ...process.env, ...env }, stdio: 'pipe' });
    chmodSync(library, 0o755);
    return undefined;
  } catch (error) {
    return `there is no C compiler, and none could be fetched: ${(error as Error).message}`;
  }
}
