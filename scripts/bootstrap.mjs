/**
 * What stands behind `npm start`, `npm test`, `npm run bench`, `npm run stampede` and `npx stampede`: makes a fresh
 * clone runnable, then runs the target. Plain JavaScript without dependencies, since there may be none yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGETS = {
  start: 'platform/local/main.js',
  stampede: 'bench/stampede.js',
  certificate: 'reconciler/certificate/main.js',
  verify: 'verify/main.js',
  test: 'vitest',
  bench: 'tsx',
};
/** Works on the ledger: of the stack that runs here, unless the environment names one. */
const READS_THE_LEDGER = ['certificate'];

function checkNode() {
  const wanted = [20, 19];
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > wanted[0] || (major === wanted[0] && minor >= wanted[1])) return;
  stop(
    `Stampede needs Node ${wanted.join('.')} or newer; this is ${process.versions.node}. See https://nodejs.org/`,
  );
}

/** Compares what is installed with the lockfile, by content: times say nothing after a checkout. */
function packagesAreCurrent() {
  const installed = join(project, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')).packages;
  return Object.keys(want).every((path) => {
    if (path === '') return true;
    // Packages for other systems are optional, listed, and not installed.
    return have[path] ? have[path].version === want[path].version : want[path].optional === true;
  });
}

function installPackages() {
  if (packagesAreCurrent()) return;
  say('Installing packages (npm ci); this is done once');
  // Under `npm start` this very npm; else the one on the PATH.
  const npm = process.env.npm_execpath;
  const [command, args] = npm && /npm-cli\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  const { status, error } = spawnSync(command, [...args, 'ci', '--loglevel=error'], {
    cwd: project,
    // Installing must not depend on NODE_ENV: the compiler is a development package.
    env: { ...process.env, NODE_ENV: 'development' },
    stdio: ['ignore', 2, 2],
  });
  if (error) stop(`npm could not be started: ${error.message}`);
  if (status !== 0) stop('npm ci failed; its message stands above. Run it again when the cause is gone.');
}

/** The HTTP library is a binary for each Node version, and the newer ones need a newer system. */
async function checkHttpLibrary() {
  try {
    await import('uWebSockets.js');
  } catch (error) {
    say(
      `uWebSockets.js does not run with Node ${process.versions.node} here: ${error.message.split('\n')[0]}`,
    );
    stop(
      'On systems with a glibc older than 2.38 (Debian 12, Ubuntu 22.04) use Node 20; on Alpine use docker compose.',
    );
  }
}

async function buildIfStale() {
  const { build, buildIsStale } = await import('./build.mjs');
  if (!buildIsStale()) return;
  say('Building');
  try {
    build();
  } catch {
    stop('The build failed; the errors stand above.');
  }
}

/** In this very process, so that a signal reaches the target at once and its exit code is ours. */
async function runTarget(target, args) {
  const file = join(project, 'dist', TARGETS[target]);
  process.argv = [process.argv[0], file, ...args];
  if (READS_THE_LEDGER.includes(target) && !process.env.DATABASE_URL) {
    const { runningLedger } = await import(
      pathToFileURL(join(project, 'dist/platform/local/running-stack.js')).href
    );
    const url = runningLedger(process.env.DATA_DIR || join(project, '.data'));
    if (url) process.env.DATABASE_URL = url;
  }
  await import(pathToFileURL(file).href);
}

/** A program of a development package in a process of its own, whose exit code is ours. */
function runProgram(program) {
  const child = spawn(process.execPath, program, { cwd: project, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function stop(line) {
  say(line);
  process.exit(1);
}

export async function run(target, args) {
  if (!target || !TARGETS[target])
    stop(`Usage: node scripts/bootstrap.mjs ${Object.keys(TARGETS).join(' | ')}`);
  checkNode();
  installPackages();
  await checkHttpLibrary();
  await buildIfStale();
  if (target === 'test') runProgram([join(project, 'node_modules/vitest/vitest.mjs'), 'run', ...args]);
  else if (target === 'bench') runProgram(['--import', 'tsx', join(project, 'bench/bench.ts'), ...args]);
  else await runTarget(target, args);
}

/** @param {Promise<void>} running */
export function exitWith(running) {
  running.catch((error) => {
    process.stderr.write(`${error?.stack ?? error}\n`);
    process.exitCode = 1;
  });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [target, ...args] = process.argv.slice(2);
  exitWith(run(target, args));
}
