/**
 * Runs Spin over stampede.pml: Spin makes a program of the model, a C compiler builds it, and the program goes through
 * every state that can be reached. Both come from the PATH or are fetched into .cache.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianTool, type Tool } from '../../platform/local/debian-packages.ts';

const MODEL = fileURLToPath(new URL('./stampede.pml', import.meta.url));

export type Tools = { spin: Tool; compiler: Tool; compiler_arguments: readonly string[] };

export async function modelTools(say: (line: string) => void): Promise<Tools> {
  const spin = await debianTool({ packages: ['spin'], binary: 'usr/bin/spin', say });
  const compiler = await debianTool({
    ...{ packages: ['tcc', 'libc6-dev'], binary: 'usr/bin/tcc', also: ['gcc', 'cc', 'clang'], say },
  });
  return { spin, compiler, compiler_arguments: ownHeaders(compiler) };
}

/** A compiler out of the cache has to be told where its parts lie. */
function ownHeaders({ path, env }: Tool): string[] {
  if (!env.LD_LIBRARY_PATH) return [];
  const root = path.slice(0, path.lastIndexOf('/usr/bin/'));
  const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const headers = [`${root}/usr/include`, `${root}/usr/include/${machine}`];
  const libraries = [`${root}/usr/lib/${machine}`, `${root}/lib/${machine}`];
  return [
    `-B${root}/usr/lib/${machine}/tcc`,
    ...headers.filter((folder) => existsSync(folder)).map((folder) => `-I${folder}`),
    ...libraries.filter((folder) => existsSync(folder)).map((folder) => `-L${folder}`),
  ];
}

export type Explored = {
  states: number;
  transitions: number;
  depth: number;
  seconds: number;
  /** What was violated, and how it comes to that, one line a step. Undefined: nothing can be violated. */
  violation?: { assertion: string; trail: string[] };
};

/** `briefly`: something will soon be found, so the compiler need not take pains. Throws if not every state was looked at and nothing was found: then nothing is known. */
export async function explore(
  tools: Tools,
  define: Readonly<Record<string, number | ''>>,
  searched: 'long' | 'briefly' = 'long',
): Promise<Explored> {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-model-'));
  const { spin, compiler, compiler_arguments } = tools;
  const run = runIn(folder);
  const defines = Object.entries(define).map(
    ([name, value]) => `-D${name}${value === '' ? '' : `=${value}`}`,
  );
  // Spin's own preprocessor is a C compiler too.
  const preprocessor = `-P${[compiler.path, ...compiler_arguments, '-E', '-xc'].join(' ')}`;
  const env = { ...compiler.env, ...spin.env };
  try {
    copyFileSync(MODEL, join(folder, 'model.pml'));
    const made = await run(spin.path, [preprocessor, ...defines, '-a', 'model.pml'], env);
    if (!existsSync(join(folder, 'pan.c'))) throw new Error(`Spin refuses the model:\n${made}`);
    const options = [
      searched === 'long' ? '-O2' : '-O0',
      '-w',
      '-DSAFETY',
      '-DCOLLAPSE',
      `-DMEMLIM=${MEMORY_MIB_MAX}`,
    ];
    await run(compiler.path, [...compiler_arguments, ...options, '-o', 'pan', 'pan.c'], compiler.env);
    const began = performance.now();
    const report = await run('./pan', [`-m${DEPTH_MAX}`, '-w24'], {});
    const found = readReport(report, (performance.now() - began) / 1000);
    if (!existsSync(join(folder, 'model.pml.trail'))) {
      if (!found.complete) throw new Error(`not every state was looked at:\n${report}`);
      return found.explored;
    }
    const trail = await run(spin.path, [preprocessor, ...defines, '-t', 'model.pml'], env);
    return { ...found.explored, violation: readTrail(trail) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const MEMORY_MIB_MAX = 4000;
const DEPTH_MAX = 300_000;

/** Output of a program, whatever it says in the end: Spin and what it makes return codes of no meaning. */
function runIn(folder: string) {
  return (program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { cwd: folder, env: { ...process.env, ...env }, maxBuffer: 1 << 28 };
      execFile(program, args, options, (error, stdout, stderr) => {
        if (error && typeof error.code === 'string') reject(error);
        else resolve(stdout + stderr);
      });
    });
}

function readReport(report: string, seconds: number): { explored: Explored; complete: boolean } {
  const number = (pattern: RegExp) => Number(report.match(pattern)?.[1] ?? Number.NaN);
  const explored = {
    states: number(/^\s*(\d+) states, stored/m),
    transitions: number(/^\s*(\d+) transitions/m),
    depth: number(/depth reached (\d+)/),
    seconds,
  };
  const cut_off = /max search depth too small|out of memory|reached -DMEMLIM|Search not completed/.test(
    report,
  );
  return { explored, complete: !cut_off && /errors: 0/.test(report) };
}

function readTrail(output: string): { assertion: string; trail: string[] } {
  // One warning is that the model is newer than the trail: both were made within one tick of the file system's clock.
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('spin: warning'));
  const end = lines.findIndex((line) => line.startsWith('spin:'));
  const assertion = lines.find((line) => line.startsWith('spin: text of failed assertion'));
  return {
    assertion: assertion?.replace('spin: text of failed assertion: ', '') ?? 'nobody can go on',
    trail: lines.slice(0, end < 0 ? undefined : end).filter((line) => line !== ''),
  };
}
