/** Where the project lies: the same answer for the sources and for the copy in dist/. */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json and node_modules. */
export function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error(`No package.json above ${import.meta.url}`);
    folder = dirname(folder);
  }
  return folder;
}

/** A folder for downloads that can be had again: in the project, or the user's where that is read-only. */
export function cacheFolder(): string {
  const candidates = [
    join(projectFolder(), '.cache'),
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'stampede'),
  ];
  for (const folder of candidates) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // The next one.
    }
  }
  throw new Error(`No folder to keep downloads in: ${candidates.join(' and ')} are both read-only`);
}
