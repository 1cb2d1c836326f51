/**
 * The one scheduler of a simulated world: virtual time, and events in the order in which they are due. Everything that a
 * real system leaves to chance (how long a message takes, who goes first) is drawn from the seed by whoever schedules an
 * event. An event belongs to a process or to a store; when it has run, all promises that it settled have gone on before
 * the next one runs. So one seed is one history.
 *
 * Events of a process that was killed never run; those of one that is stopped run when it goes on. That is all that a
 * crash or a SIGSTOP is.
 */

/** Virtual time begins here, ms since 1970: some Tuesday, far from midnight. */
export const BEGINNING_MS = Date.UTC(2026, 2, 3, 9, 0, 0);

export type Process = {
  name: string;
  state: 'up' | 'stopped' | 'dead';
  /** Its clock less the true time, ms. */
  clock_ms: number;
  /** What waits until it goes on. */
  held: (() => void)[];
};

export type Scheduler = {
  /** True time, ms since the beginning. */
  now_ms(): number;
  /** The process whose event runs; undefined within a store. */
  current(): Process | undefined;
  /** Runs `event` in `after_ms` as a step of `process`. */
  after(after_ms: number, process: Process | undefined, event: () => void): ScheduledEvent;
  process(name: string, clock_ms?: number): Process;
  /** Resolves when `until` says so (asked after each event), nothing is left to do, or the time is over. */
  run(until: () => boolean, max_ms: number): Promise<'until' | 'empty' | 'time'>;
  /** Events that have run. */
  steps(): number;
  /** Of the order and times of all events so far: equal for equal histories. */
  hash(): string;
};

export type ScheduledEvent = { at_ms: number; no: number; canceled: boolean };
type Entry = ScheduledEvent & { process: Process | undefined; event: () => void };

const realImmediate = setImmediate;
/** Immediates per turn of the real event loop: between two of them Node settles all promises. */
const TURN = 64;

export function createScheduler(): Scheduler {
  const heap: Entry[] = [];
  let now_ms = 0;
  let made = 0;
  let ran = 0;
  let running: Process | undefined;
  let hash = 0x811c9dc5;

  function before(a: Entry, b: Entry): boolean {
    return a.at_ms < b.at_ms || (a.at_ms === b.at_ms && a.no < b.no);
  }

  function push(entry: Entry): void {
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(entry, heap[up])) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = entry;
  }

  function pop(): Entry {
    const top = heap[0];
    const last = heap.pop() as Entry;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1], heap[down])) down += 1;
      if (!before(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = last;
    return top;
  }

  function mix(value: number): void {
    hash = Math.imul(hash ^ (value & 0xffff), 0x01000193);
    hash = Math.imul(hash ^ (value >>> 16), 0x01000193);
  }

  function step(): void {
    const entry = pop();
    if (entry.canceled) return;
    now_ms = entry.at_ms;
    const { process } = entry;
    if (process?.state === 'dead') return;
    if (process?.state === 'stopped') {
      process.held.push(entry.event);
      return;
    }
    ran += 1;
    mix(Math.floor(now_ms * 1_000));
    mix(entry.no);
    running = process;
    entry.event();
  }

  return {
    now_ms: () => now_ms,
    current: () => running,
    steps: () => ran,
    hash: () => (hash >>> 0).toString(16).padStart(8, '0'),
    process: (name, clock_ms = 0) => ({ name, state: 'up', clock_ms, held: [] }),
    after(after_ms, process, event) {
      made += 1;
      const entry = { at_ms: now_ms + Math.max(0, after_ms), no: made, canceled: false, process, event };
      push(entry);
      return entry;
    },
    run(until, max_ms) {
      return new Promise((resolve, reject) => {
        let ended = false;
        const one = () => {
          if (ended) return;
          running = undefined;
          try {
            const why = until()
              ? 'until'
              : heap.length === 0
                ? 'empty'
                : now_ms > max_ms
                  ? 'time'
                  : undefined;
            if (why) {
              ended = true;
              resolve(why);
            } else {
              step();
            }
          } catch (error) {
            ended = true;
            reject(error);
          }
        };
        const turn = () => {
          for (let i = 0; i < TURN; i++) realImmediate(one);
          realImmediate(() => {
            if (!ended) turn();
          });
        };
        turn();
      });
    },
  };
}

/** Goes on after a stop: what has come meanwhile is done now, in its order. */
export function resume(scheduler: Scheduler, process: Process): void {
  if (process.state !== 'stopped') return;
  process.state = 'up';
  for (const event of process.held.splice(0)) scheduler.after(0, process, event);
}
