/**
 * promtool from the PATH, or out of Debian's package, unpacked into our cache: nothing is installed. Undefined
 * where there is neither.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ownAptFolders } from '../../platform/local/debian-packages.ts';
import { cacheFolder } from '../../platform/local/project.ts';

export type PrometheusTools = { promtool: string; prometheus: string };

export function prometheusTools(): PrometheusTools | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return [...folders, unpacked()].map(toolsIn).find(Boolean) ?? fetched();
}

const unpacked = (): string => join(cacheFolder(), 'prometheus/usr/bin');

function toolsIn(folder: string): PrometheusTools | undefined {
  const tools = { promtool: join(folder, 'promtool'), prometheus: join(folder, 'prometheus') };
  return Object.values(tools).every((path) => existsSync(path)) ? tools : undefined;
}

/** All or nothing: unpacked beside the cache, moved into place when everything is there. */
function fetched(): PrometheusTools | undefined {
  const work = mkdtempSync(join(cacheFolder(), 'prometheus-fetch-'));
  try {
    const root = join(work, 'root');
    mkdirSync(root);
    for (const file of download(work)) execFileSync('dpkg', ['-x', join(work, file), root]);
    if (!existsSync(unpacked())) renameSync(root, join(cacheFolder(), 'prometheus'));
    return toolsIn(unpacked());
  } catch (error) {
    // Another test may have been quicker.
    const others = toolsIn(unpacked());
    if (others) return others;
    console.warn(`promtool cannot be had here: ${error instanceof Error ? error.message : error}`);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function download(folder: string): string[] {
  const run = (...args: string[]) =>
    execFileSync('apt-get', ['-qq', ...args], { cwd: folder, stdio: 'pipe' });
  try {
    run('download', 'prometheus');
  } catch {
    // No package lists, or old ones: lists of our own.
    const own = ownAptFolders(join(folder, 'apt'));
    run(...own, 'update');
    run(...own, 'download', 'prometheus');
  }
  return readdirSync(folder).filter((name) => name.endsWith('.deb'));
}
