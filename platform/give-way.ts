/** How much a process lets others on the same machine go first. */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** The most that `nice` knows. */
export const NICE_MAX = 19;

/** What a process is told that may not tell another's session anything yet: one a tenth of a second, for the whole machine. */
const NOT_YET = 'EAGAIN';

/**
 * `nice` from 0 (not at all) to 19, for this process or for another of the same user. Linux shares a machine between sessions
 * first (sched_autogroup, where it is on), and a process started in a session of its own would be nice to nobody but itself: so
 * the session is told too. False: the session has to be told again, later. Throws where the process may not be told, or is gone.
 */
export function giveWay(nice: number, pid = process.pid): boolean {
  if (nice === 0) return true;
  setPriority(pid, nice);
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
  } catch (error) {
    // Any other error: a system without sessions of that kind. The priority alone counts.
    return (error as NodeJS.ErrnoException).code !== NOT_YET;
  }
  return true;
}
