import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockHolder, takeLock } from './lock.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stampede-lock-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('the first takes the lock, the second learns who has it', () => {
  expect(lockHolder(folder)).toBeUndefined();
  expect(takeLock(folder)).toBeUndefined();
  expect(takeLock(folder)?.pid).toBe(process.pid);
  expect(lockHolder(folder)?.pid).toBe(process.pid);
});

test('the lock of a dead process is taken over, also when its id belongs to another process now', () => {
  mkdirSync(join(folder, 'lock'));
  writeFileSync(join(folder, 'lock/7'), JSON.stringify({ pid: process.ppid, started: 'long ago' }));
  expect(takeLock(folder)).toBeUndefined();
  expect(lockHolder(folder)?.pid).toBe(process.pid);
  expect(readdirSync(join(folder, 'lock'))).toEqual(['8']);
});

test('of many that take over a dead lock at once exactly one gets it', async () => {
  mkdirSync(join(folder, 'lock'));
  writeFileSync(join(folder, 'lock/1'), JSON.stringify({ pid: process.ppid, started: 'long ago' }));
  const script = `
    import { takeLock } from ${JSON.stringify(new URL('./lock.ts', import.meta.url).href)};
    console.log(takeLock(${JSON.stringify(folder)}) ? 'refused' : 'taken');
    process.stdin.resume();
  `;
  const starts = Array.from({ length: 8 }, () =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const answers = await Promise.all(
    starts.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()),
  );
  expect(answers.sort()).toEqual([...Array(7).fill('refused'), 'taken']);
  for (const child of starts) child.stdin.end();
  await Promise.all(starts.map((child) => once(child, 'exit')));
  expect(lockHolder(folder)).toBeUndefined();
});
