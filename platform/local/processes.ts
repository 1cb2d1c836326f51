/** What runs under a process id. Ids are used again, so an id alone never says who it is. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type ProcessDescription = {
  /** When it started, in the words of the system: equal for the same process, else different. */
  started: string;
  command: string;
};

/** Undefined if there is no such process, or only the remains of one (a zombie). */
export function describeProcess(pid: number): ProcessDescription | undefined {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

function fromProc(pid: number): ProcessDescription | undefined {
  try {
    // "pid (name) state ppid ...": the name may hold spaces and brackets. Field 22 is the start, in ticks since boot.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return { started: `${boot}/${fields[19]}`, command };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): ProcessDescription | undefined {
  try {
    const [state, started, command] = ['state=', 'lstart=', 'command='].map((field) =>
      execFileSync('ps', ['-o', field, '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim(),
    );
    return started && command && !state?.startsWith('Z') ? { started, command } : undefined;
  } catch {
    return undefined;
  }
}
