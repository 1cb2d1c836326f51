/** Memory of a process, as the system counts it. */
import { readFileSync } from 'node:fs';

/** Resident, MiB; NaN where the system does not say. */
export function residentMib(pid: number): number {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Math.round(Number(kib) / 102.4) / 10;
  } catch {
    return Number.NaN;
  }
}

export function watchMemory(pid: number, every_ms = 500): { end(): number[] } {
  const seen: number[] = [];
  const timer = setInterval(() => seen.push(residentMib(pid)), every_ms);
  return {
    end() {
      clearInterval(timer);
      return seen;
    },
  };
}
