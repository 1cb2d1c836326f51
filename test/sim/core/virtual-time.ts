/**
 * The time that the product sees while a world runs: Date.now, performance.now, setTimeout and setImmediate are the
 * scheduler's (and node:timers/promises' too), by the clock of the process whose step runs. The monotonic clock knows no shift; the wall clock does.
 * For a process of its own: nothing else may be at work in it.
 */
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import { BEGINNING_MS, type Process, type ScheduledEvent, type Scheduler } from './scheduler.ts';

type Timer = { event: ScheduledEvent; unref(): Timer; ref(): Timer; hasRef(): boolean };

/** How a world lets loops pause: see createPauses. */
export type Pause = (process: Process | undefined, ms: number) => Promise<void>;

let scheduler: Scheduler | undefined;
let pause: Pause | undefined;

function world(): Scheduler {
  if (!scheduler) throw new Error('no world runs');
  return scheduler;
}

function timer(after_ms: number, run: () => void): Timer {
  const event = world().after(after_ms, world().current(), run);
  const self: Timer = { event, unref: () => self, ref: () => self, hasRef: () => true };
  return self;
}

const virtual = {
  setTimeout: (run: (...args: unknown[]) => void, after_ms = 0, ...args: unknown[]) =>
    timer(after_ms, () => run(...args)),
  setImmediate: (run: (...args: unknown[]) => void, ...args: unknown[]) => timer(0, () => run(...args)),
  clear: (self: Timer | undefined) => {
    if (self?.event) self.event.canceled = true;
  },
};

/** Wall clock of whoever's step runs, ms since 1970. */
export function wallClock(process: Process | undefined): number {
  return BEGINNING_MS + world().now_ms() + (process?.clock_ms ?? 0);
}

let installed = false;

/** Once for the life of this Node process. */
export function installVirtualTime(): void {
  if (installed) return;
  installed = true;
  Object.assign(globalThis, {
    setTimeout: virtual.setTimeout,
    setImmediate: virtual.setImmediate,
    clearTimeout: virtual.clear,
    clearImmediate: virtual.clear,
  });
  Date.now = () => Math.floor(wallClock(world().current()));
  Object.defineProperty(performance, 'timeOrigin', { value: BEGINNING_MS, configurable: true });
  performance.now = () => world().now_ms();
  const sleep = (ms: number) => pause?.(world().current(), ms) ?? Promise.reject(new Error('no world runs'));
  Object.assign(timersPromises, { setTimeout: sleep });
  syncBuiltinESMExports();
}

/** The world whose time it is from now on. */
export function inhabit(next: Scheduler, next_pause: Pause): void {
  scheduler = next;
  pause = next_pause;
}
