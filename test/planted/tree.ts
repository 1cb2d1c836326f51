/** A copy of the sources that bugs are planted in. The tree it comes from stays as it is. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Change } from './bugs.ts';

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
/** Not copied but linked to: big, and the same for every bug. */
const LINKED = ['node_modules', '.cache'];
const LEFT_OUT = ['.git', 'dist'];

export type Tree = {
  folder: string;
  /** Puts the bug in. Returns how to take it out again. Throws if its text is not there, or more than once. */
  plant(id: string, change: Change): () => void;
  remove(): void;
};

export function copyTree(): Tree {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-planted-'));
  for (const name of readdirSync(PROJECT)) {
    if (LEFT_OUT.includes(name)) continue;
    if (LINKED.includes(name)) symlinkSync(join(PROJECT, name), join(folder, name));
    else cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
  }
  return {
    folder,
    plant(id, change) {
      const path = join(folder, change.file);
      const text = readFileSync(path, 'utf8');
      writeFileSync(path, withBug(text, id, change));
      return () => writeFileSync(path, text);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function withBug(text: string, id: string, { file, find, replace }: Change): string {
  const times = text.split(find).length - 1;
  if (times !== 1) throw new Error(`bug ${id}: its text stands ${times} times in ${file}, not once`);
  return text.replace(find, () => replace);
}
