/**
 * The processes a stack has started, on record, so that the next start can end what a killed one left
 * behind: exactly those, never another process that got an old id.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson, writeJson } from './json-file.ts';
import { describeProcess, type ProcessDescription } from './processes.ts';

type Recorded = ProcessDescription & { name: string; pid: number; signal: NodeJS.Signals };

const PATIENCE_MS = 3_000;

export type ProcessRecord = {
  /** Call in the same turn in which the process was started: what is not on record is not found again. */
  add(name: string, pid: number, signal: NodeJS.Signals): void;
  /** Ends all that still run, first with their signal, then with SIGKILL. Returns their names. */
  endAll(): Promise<string[]>;
  /** `endAll` for good: what is added from now on, by a start that was under way, is killed at once. */
  close(): Promise<void>;
};

export function processRecord(folder: string): ProcessRecord {
  const file = join(folder, 'processes.json');
  let closed = false;
  const living = () => (readJson<Recorded[]>(file) ?? []).filter(isSame);

  async function endAll(): Promise<string[]> {
    const found = living();
    await Promise.all(found.map(end));
    rmSync(file, { force: true });
    return found.map(({ name }) => name);
  }

  return {
    add(name, pid, signal) {
      const found = describeProcess(pid);
      if (!found) return;
      if (closed) process.kill(pid, 'SIGKILL');
      else writeJson(file, [...living(), { name, pid, signal, ...found }]);
    },
    endAll,
    async close() {
      closed = true;
      await endAll();
    },
  };
}

function isSame(recorded: Recorded): boolean {
  const now = describeProcess(recorded.pid);
  return now !== undefined && now.started === recorded.started && now.command === recorded.command;
}

async function end(recorded: Recorded): Promise<void> {
  signal(recorded, recorded.signal);
  if (await gone(recorded, PATIENCE_MS)) return;
  signal(recorded, 'SIGKILL');
  if (!(await gone(recorded, PATIENCE_MS))) {
    throw new Error(
      `${recorded.name} (process ${recorded.pid}) of an earlier start does not end, even with SIGKILL`,
    );
  }
}

function signal(recorded: Recorded, name: NodeJS.Signals): void {
  if (!isSame(recorded)) return;
  try {
    process.kill(recorded.pid, name);
  } catch {
    // It ended in between.
  }
}

async function gone(recorded: Recorded, patience_ms: number): Promise<boolean> {
  const deadline_ms = Date.now() + patience_ms;
  while (isSame(recorded)) {
    if (Date.now() > deadline_ms) return false;
    await sleep(20);
  }
  return true;
}
