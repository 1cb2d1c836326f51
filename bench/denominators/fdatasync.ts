/** How often a second the file system of a folder makes 4 KiB at the end of a file last. */
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const BLOCK = Buffer.alloc(4_096, 1);

export function fdatasyncsPerSecond(folder: string, seconds: number): number {
  mkdirSync(folder, { recursive: true });
  const dir = mkdtempSync(join(folder, 'bench-'));
  const file = openSync(join(dir, 'synced'), 'w');
  try {
    const begun = performance.now();
    let synced = 0;
    while (performance.now() - begun < seconds * 1_000) {
      writeSync(file, BLOCK);
      fdatasyncSync(file);
      synced += 1;
    }
    return synced / ((performance.now() - begun) / 1_000);
  } finally {
    closeSync(file);
    rmSync(dir, { recursive: true });
  }
}
