/** Logs of the local stack: one file a process and start, the last few starts kept. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

const STARTS_KEPT = 5;

/** The path of an empty log `<name>.log`; those of earlier starts become `<name>.1.log` (the last) and so on. */
export function freshLog(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (age: number) => join(folder, age === 0 ? `${name}.log` : `${name}.${age}.log`);
  for (let age = STARTS_KEPT - 1; age > 0; age -= 1) {
    if (existsSync(file(age - 1))) renameSync(file(age - 1), file(age));
  }
  return file(0);
}
