/** How much a process lets others on the same machine go first. */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** The most that `nice` knows. */
export const NICE_MAX = 19;

/**
 * `nice` from 0 (not at all) to 19. Linux shares a machine between sessions first (sched_autogroup, where it is on), and a
 * process started in a session of its own would be nice to nobody but itself: so the session is told too.
 */
export function giveWay(nice: number): void {
  if (nice === 0) return;
  setPriority(nice);
  try {
    writeFileSync('/proc/self/autogroup', String(nice));
  } catch {
    // A system without sessions of that kind: the priority alone counts.
  }
}
