/**
 * Builds dist/: the TypeScript compiled, everything else that runs (Lua, SQL, pages) copied beside it.
 * A build that is cut off leaves the old dist/ as it was; two at once do not disturb each other.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, execPath, pid } from 'node:process';
import { fileURLToPath } from 'node:url';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(project, 'dist');
const SOURCES = [
  'domain',
  'lua',
  'ledger',
  'platform',
  'payments',
  'engine',
  'reconciler',
  'verify',
  'web',
  'bench',
  'scripts',
];
const SETTINGS = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
/** Compiled, or only for readers. */
const NOT_COPIED = /(\.ts|\.md|tsconfig.*\.json)$/;

/** True if a source is newer, gone or added since dist/ was built. */
export function buildIsStale() {
  const stamp = join(dist, '.built-from');
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') !== sourceStamp();
}

export function build() {
  const stamp = sourceStamp();
  const next = join(project, `.dist-next-${pid}`);
  try {
    compile('tsconfig.build.json', next);
    if (existsSync(join(project, 'web/tsconfig.json'))) compile('web/tsconfig.json', join(next, 'web'));
    for (const file of sourceFiles().filter((name) => !NOT_COPIED.test(name))) {
      mkdirSync(dirname(join(next, file)), { recursive: true });
      cpSync(join(project, file), join(next, file));
    }
    writeFileSync(join(next, '.built-from'), stamp);
    replace(dist, next);
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
}

function compile(settings, folder) {
  const tsc = join(project, 'node_modules/typescript/bin/tsc');
  execFileSync(execPath, [tsc, '-p', join(project, settings), '--outDir', folder], {
    cwd: project,
    stdio: 'inherit',
  });
}

function replace(folder, next) {
  const old = join(project, `.dist-old-${pid}`);
  for (;;) {
    if (existsSync(folder)) renameSync(folder, old);
    try {
      renameSync(next, folder);
      break;
    } catch (error) {
      // Another build moved its own there in between: it goes the same way.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      rmSync(old, { recursive: true, force: true });
    }
  }
  rmSync(old, { recursive: true, force: true });
}

function sourceFiles() {
  return SOURCES.filter((folder) => existsSync(join(project, folder))).flatMap((folder) =>
    filesUnder(folder),
  );
}

function filesUnder(folder) {
  const entries = readdirSync(join(project, folder), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** Names, sizes and times of all that goes into a build, as one short text. */
function sourceStamp() {
  const hash = createHash('sha256');
  for (const file of [...sourceFiles(), ...SETTINGS].sort()) {
    const { size, mtimeMs } = statSync(join(project, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

if (argv[1] === fileURLToPath(import.meta.url) && (argv[2] !== '--if-stale' || buildIsStale())) build();
