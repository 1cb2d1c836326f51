/** How much a process lets others on the same machine go first. */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** The most that `nice` knows. */
export const NICE_MAX = 19;

/** An ordinary user's processes may tell one session a tenth of a second, all of them together; others hear EAGAIN. */
const AGAIN_MS = 150;
const TRIES_MAX = 100;

/**
 * `nice` from 0 (not at all) to 19, for this process or for another of the same user. Linux shares a machine between sessions
 * first (sched_autogroup, where it is on), and a process started in a session of its own would be nice to nobody but itself: so
 * the session is told too, until it has heard or `still` says that the process is another by now. Throws where it may not be told.
 */
export async function giveWay(nice: number, pid = process.pid, still = () => true): Promise<void> {
  if (nice === 0) return;
  for (let tries = 0; tries < TRIES_MAX && still(); tries++) {
    setPriority(pid, nice);
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(nice));
      return;
    } catch (error) {
      // Any other error: a system without sessions of that kind. The priority alone counts.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
    await pause(AGAIN_MS, undefined, { ref: false });
  }
}
