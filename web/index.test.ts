import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

/** Modules that this one loads, itself included; types are gone once it is compiled. */
function loadedBy(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, clause = '', target = ''] of read(path).matchAll(/^import ([^;]*?) ?from '(\.[^']+)'/gm)) {
    if (!clause.startsWith('type ')) loadedBy(posix.join(posix.dirname(path), target), found);
  }
  return found;
}

it('index.html names every module of the page beforehand, and no other', () => {
  const named = [...read('index.html').matchAll(/rel="modulepreload" href="\/(.*)\.js"/g)].map(
    ([, name]) => `${name}.ts`,
  );
  const loaded = [...loadedBy('main.ts')].filter((path) => path !== 'main.ts');
  expect(named.sort()).toEqual(loaded.sort());
});
