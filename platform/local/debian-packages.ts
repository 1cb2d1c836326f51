/**
 * Programs out of the distribution's packages (Debian, Ubuntu), unpacked into our own cache. Nothing is installed and no right
 * beyond the user's own is needed.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './project.ts';

const run = promisify(execFile);

/** A program and what its environment needs besides our own. */
export type Tool = { path: string; env: Readonly<Record<string, string>> };

export type ToolWanted = {
  /** Names of packages; what they need comes along unless the system has it. The first names the folder in the cache. */
  packages: readonly string[];
  /** Where its file lies in them, such as `usr/bin/spin`. */
  binary: string;
  /** Other names under which the PATH may have something that does as well. */
  also?: readonly string[];
  /** Hears about a download. */
  say?: (line: string) => void;
  /** Whether what was found does: it may be too old, or not run here at all. Default: it is there. */
  usable?: (tool: Tool) => Promise<boolean>;
};

/** From the PATH, from the cache, or fetched just now. Throws where there is no way to get it. */
export async function debianTool(wanted: ToolWanted): Promise<Tool> {
  const { packages, binary, also = [], usable = () => Promise.resolve(true) } = wanted;
  const name = basename(binary);
  for (const path of [name, ...also].map(onPath)) {
    if (path && (await usable({ path, env: {} }))) return { path, env: {} };
  }
  const inCache = async () => {
    const cached = cachedTool(packages, binary);
    return cached && (await usable(cached)) ? cached : undefined;
  };
  const cached = await inCache();
  if (cached) return cached;
  if (!onPath('apt-get') || !onPath('dpkg')) {
    throw new Error(`${name} is not on the PATH, and only on Debian and Ubuntu it can be fetched`);
  }
  wanted.say?.(
    `Fetching ${name} (the packages of your distribution, unpacked into .cache; nothing is installed)`,
  );
  await fetchPackages(packages, inCache);
  const fetched = await inCache();
  if (!fetched) throw new Error(`the fetched ${name} does not run here`);
  return fetched;
}

function onPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** Where packages lie once they were fetched. */
function packagesFolder(packages: readonly string[]): string {
  return join(cacheFolder(), packages[0] as string);
}

function cachedTool(packages: readonly string[], binary: string): Tool | undefined {
  const root = packagesFolder(packages);
  const path = join(root, binary);
  if (!existsSync(path)) return undefined;
  return { path, env: { LD_LIBRARY_PATH: libraryFolders(root).join(delimiter) } };
}

/** usr/lib/<architecture> and the like: every folder of the unpacked packages that holds a library. */
function libraryFolders(root: string): string[] {
  return ['usr/lib', 'lib'].flatMap((top) => {
    const folder = join(root, top);
    if (!existsSync(folder)) return [];
    const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [folder, ...inner.map((entry) => join(folder, entry.name))];
  });
}

/** All or nothing: packages are unpacked beside the cache and moved into place when everything is there. */
async function fetchPackages(
  packages: readonly string[],
  inCache: () => Promise<Tool | undefined>,
): Promise<void> {
  const work = mkdtempSync(join(cacheFolder(), 'fetch-'));
  try {
    await withPackageLists(work, (options) => downloadPackages(packages, work, options));
    const root = join(work, 'root');
    mkdirSync(root);
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(work, file), root]);
    }
    // Another process may have been quicker: then its copy is as good.
    if (await inCache()) return;
    rmSync(packagesFolder(packages), { recursive: true, force: true });
    renameSync(root, packagesFolder(packages));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Runs `work` with options for apt-get: with the system's package lists, and if that fails with newer ones of our own. */
async function withPackageLists(
  folder: string,
  work: (options: readonly string[]) => Promise<void>,
): Promise<void> {
  try {
    await work([]);
  } catch {
    // No package lists, or old ones: fetch lists of our own and leave the system's alone.
    const own = ownAptFolders(join(folder, 'apt'));
    await run('apt-get', [...own, '-qq', 'update'], { maxBuffer: 1 << 26 });
    await work(own);
  }
}

/** The packages and what they need that this system lacks, as .deb files in `folder`. */
async function downloadPackages(
  packages: readonly string[],
  folder: string,
  options: readonly string[],
): Promise<void> {
  const simulated = await run('apt-get', [
    ...options,
    ...['-qq', '--simulate', '--no-install-recommends', 'install', ...packages],
  ]);
  const names = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] as string);
  if (names.length === 0) throw new Error(`apt-get knows nothing of ${packages.join(', ')}`);
  await run('apt-get', [...options, '-qq', 'download', ...names], { cwd: folder });
}

/** Settings that make apt-get keep lists and archives in `folder`, and leave the system's alone. */
export function ownAptFolders(folder: string): string[] {
  for (const part of ['state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(folder, part), { recursive: true });
  }
  const settings = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(folder, 'cache'),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}
