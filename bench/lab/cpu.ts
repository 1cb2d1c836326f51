/** CPU time of processes, from /proc: of one, or of one with all that descend from it. */
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** User and system time so far, s. Children that have ended count with their parent. */
export function cpuSeconds(pid: number): number {
  const pids = [pid, ...descendants(pid)];
  return pids.reduce((sum, one) => sum + ticks(one), 0) / TICKS_PER_SECOND;
}

function ticks(pid: number): number {
  const fields = stat(pid);
  return fields ? fields.slice(11, 15).reduce((sum, text) => sum + Number(text), 0) : 0;
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? stat(Number(name)) : undefined;
    if (fields) parents.set(Number(name), Number(fields[1]));
  }
  const found: number[] = [];
  const add = (of: number) => {
    for (const [child, parent] of parents) {
      if (parent !== of) continue;
      found.push(child);
      add(child);
    }
  };
  add(pid);
  return found;
}

/** The fields after the command, from `state` on; undefined if it is gone. */
function stat(pid: number | string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** CPU that children of this process have used which have ended, s. */
export function childrenCpuSeconds(): number {
  const fields = stat(process.pid);
  return fields ? (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND : 0;
}

/** CPU of this process' main thread alone, s. */
function mainThreadCpuSeconds(): number {
  const fields = stat(`${process.pid}/task/${process.pid}`);
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND : 0;
}

/** From a call until the returned function is called: share of the time that the main thread had nothing to do, if it got its CPU. */
export function idleOfMainThread(): () => number {
  const [began_ms, used] = [performance.now(), mainThreadCpuSeconds()];
  return () => 1 - ((mainThreadCpuSeconds() - used) * 1_000) / (performance.now() - began_ms);
}
