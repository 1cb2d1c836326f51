/**
 * Finds a Redis to run: on the PATH, or one fetched before. Where there is none, and this is Debian or
 * Ubuntu, fetches the distribution's packages and unpacks them into our own cache. Nothing is
 * installed and no right beyond the user's own is needed.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './project.ts';

const run = promisify(execFile);

export type RedisBinary = { path: string; env: Readonly<Record<string, string>>; version: string };

const HOW_TO_GET_REDIS = [
  'Stampede needs Redis 7 or newer (or Valkey) and found none. Any of these will do:',
  '  Debian, Ubuntu:  sudo apt-get install redis-server',
  '  macOS:           brew install redis',
  '  Docker:          docker compose up',
  '  your own:        REDIS_URL=redis://host:6379 npm start',
].join('\n');

/** Throws an error whose message says how to get Redis. `say` hears about a download. */
export async function redisBinary(say: (line: string) => void = () => {}): Promise<RedisBinary> {
  const found = (await redisOnPath()) ?? (await redisInCache());
  if (found) return found;
  if (!onPath('apt-get') || !onPath('dpkg')) throw new Error(HOW_TO_GET_REDIS);
  say('Fetching Redis (the packages of your distribution, unpacked into .cache; nothing is installed)');
  try {
    await fetchRedis();
    const fetched = await redisInCache();
    if (fetched) return fetched;
    throw new Error('the fetched redis-server does not run here');
  } catch (error) {
    const detail = error instanceof Error ? error.message.trim() : String(error);
    throw new Error(`${HOW_TO_GET_REDIS}\n(Fetching it with apt-get failed: ${detail})`);
  }
}

async function redisOnPath(): Promise<RedisBinary | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    const path = onPath(name);
    const version = path && (await versionOf(path, {}));
    if (version) return { path, env: {}, version };
  }
  return undefined;
}

async function redisInCache(): Promise<RedisBinary | undefined> {
  const root = join(cacheFolder(), 'redis');
  const path = join(root, 'usr/bin/redis-server');
  if (!existsSync(path)) return undefined;
  const env = { LD_LIBRARY_PATH: libraryFolders(root).join(delimiter) };
  const version = await versionOf(path, env);
  return version ? { path, env, version } : undefined;
}

/** The version of a server that runs and is new enough. A cache may have outlived a system upgrade. */
async function versionOf(path: string, env: Record<string, string>): Promise<string | undefined> {
  const answer = await run(path, ['--version'], { env: { ...process.env, ...env } }).catch(() => undefined);
  const version = answer?.stdout.match(/\bv=(\d+\.\S+)/)?.[1];
  return version && Number.parseInt(version, 10) >= 7 ? version : undefined;
}

function onPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
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
async function fetchRedis(): Promise<void> {
  const cache = cacheFolder();
  const work = mkdtempSync(join(cache, 'redis-fetch-'));
  try {
    try {
      await downloadPackages(work, []);
    } catch {
      // No package lists, or old ones: fetch lists of our own and leave the system's alone.
      const own = ownAptFolders(join(work, 'apt'));
      await run('apt-get', [...own, '-qq', 'update'], { maxBuffer: 1 << 26 });
      await downloadPackages(work, own);
    }
    const root = join(work, 'root');
    mkdirSync(root);
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(work, file), root]);
    }
    // Another start may have been quicker: then its copy is as good.
    if (await redisInCache()) return;
    rmSync(join(cache, 'redis'), { recursive: true, force: true });
    renameSync(root, join(cache, 'redis'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** redis-server and what it needs that this system lacks, as .deb files in `folder`. */
async function downloadPackages(folder: string, options: readonly string[]): Promise<void> {
  const simulated = await run('apt-get', [
    ...options,
    ...['-qq', '--simulate', '--no-install-recommends', 'install', 'redis-server'],
  ]);
  const names = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] as string);
  if (names.length === 0) throw new Error('apt-get knows no redis-server');
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
