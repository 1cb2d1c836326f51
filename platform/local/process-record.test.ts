import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processRecord } from './process-record.ts';
import { describeProcess } from './processes.ts';

let folder: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stampede-record-'));
});

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function run(script: string): ChildProcess & { pid: number } {
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  started.push(child);
  return child as ChildProcess & { pid: number };
}

const IDLE = 'setInterval(() => {}, 1000)';

test('what an earlier start left behind is ended, and named', async () => {
  const [first, second] = [run(IDLE), run(IDLE)];
  const earlier = processRecord(folder);
  earlier.add('Redis', first.pid, 'SIGTERM');
  earlier.add('engine', second.pid, 'SIGTERM');
  const ended = [once(first, 'exit'), once(second, 'exit')];
  expect(await processRecord(folder).endAll()).toEqual(['Redis', 'engine']);
  await Promise.all(ended);
  expect(await processRecord(folder).endAll()).toEqual([]);
});

test('one that ignores its signal is killed', async () => {
  const stubborn = run(`process.on('SIGTERM', () => {}); console.log('deaf'); ${IDLE}`);
  await once(stubborn.stdout!, 'data');
  const record = processRecord(folder);
  record.add('engine', stubborn.pid, 'SIGTERM');
  const exit = once(stubborn, 'exit');
  await record.endAll();
  expect((await exit)[1]).toBe('SIGKILL');
});

test('a process that got the id of an old one is let alone', async () => {
  const other = run(IDLE);
  const record = processRecord(folder);
  record.add('Redis', other.pid, 'SIGTERM');
  const file = join(folder, 'processes.json');
  const [entry] = JSON.parse(readFileSync(file, 'utf8'));
  for (const lie of [{ started: 'another time' }, { command: 'another program' }]) {
    writeFileSync(file, JSON.stringify([{ ...entry, ...lie }]));
    expect(await processRecord(folder).endAll()).toEqual([]);
    expect(describeProcess(other.pid)).toBeDefined();
  }
});

test('a process that is started while the record closes does not survive', async () => {
  const record = processRecord(folder);
  await record.close();
  const late = run(IDLE);
  const exit = once(late, 'exit');
  record.add('engine', late.pid, 'SIGTERM');
  expect((await exit)[1]).toBe('SIGKILL');
});
