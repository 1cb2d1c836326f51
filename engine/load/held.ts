/**
 * Refusals that wait to be sent. Who is refused and asks again at once would otherwise take the time of those who are let in:
 * reading and refusing a request costs a good part of what serving it does, and a connection that is answered while
 * others are still read is read again in the same turn. So refusals leave between turns, at a part of the pace at which others
 * are served, and each after two seconds at most. While they are few, they leave at once.
 */
import { ADMIT_HELD_MS_MAX, ADMIT_REFUSALS_PER_MS_MIN, ADMIT_REFUSALS_SHARE } from '../../domain/limits.ts';

export type Held = {
  /** Resolves when one more refusal may leave. */
  wait(): Promise<void>;
  /** Refusals that wait. */
  count(): number;
};

export type HeldOptions = {
  /** How many requests are served a millisecond at present. */
  served_per_ms(): number;
  now_ms?: () => number;
  /** Calls back once, after about so long and never within the present turn. */
  after?: (ms: number, done: () => void) => void;
};

/** Refusals that leave together. */
type Group = { count: number; since_ms: number; left: Promise<void>; leave: () => void };

/** So many leave at once: under a millisecond. */
const GROUP_MAX = 32;
const TICK_MS = 5;

export function createHeld(options: HeldOptions): Held {
  const { served_per_ms, now_ms = () => performance.now() } = options;
  const { after = (ms, done) => void setTimeout(done, ms) } = options;
  let groups: Group[] = [];
  let count = 0;
  let ticking = false;
  let ticked_ms = 0;
  /** How many may leave by now; negative when a whole group has left for a part of one. */
  let allowed = 0;

  function tick(): void {
    const now = now_ms();
    const per_ms = Math.max(ADMIT_REFUSALS_PER_MS_MIN, served_per_ms() * ADMIT_REFUSALS_SHARE);
    allowed = Math.min(0, allowed) + (now - ticked_ms) * per_ms;
    ticked_ms = now;
    let gone = 0;
    while (gone < groups.length) {
      const group = groups[gone] as Group;
      if (allowed <= 0 && now - group.since_ms < ADMIT_HELD_MS_MAX) break;
      allowed -= group.count;
      count -= group.count;
      gone += 1;
      group.leave();
    }
    groups = groups.slice(gone);
    ticking = groups.length > 0;
    if (ticking) after(TICK_MS, tick);
  }

  function open(): Group {
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const group = { count: 0, since_ms: now_ms(), left, leave };
    groups.push(group);
    if (!ticking) {
      ticking = true;
      // Time in which nobody waited is no time saved up, but for that of one tick.
      ticked_ms = Math.max(ticked_ms, group.since_ms - TICK_MS);
      after(0, tick);
    }
    return group;
  }

  return {
    wait() {
      let group = groups.at(-1);
      if (!group || group.count >= GROUP_MAX) group = open();
      group.count += 1;
      count += 1;
      return group.left;
    },
    count: () => count,
  };
}
