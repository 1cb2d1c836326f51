/** One simulated world: the stores, the networks between them and whoever works with them, and the judge's books. */
import type { Random } from './core/random.ts';
import { createRandom } from './core/random.ts';
import { BEGINNING_MS, createScheduler, type Process, type Scheduler } from './core/scheduler.ts';
import { inhabit, type Pause } from './core/virtual-time.ts';
import { FAIR, type Weather } from './core/wire.ts';
import type { EventOfRedis } from './journal.ts';
import { createSimLedger, type SimLedger } from './ledger/server.ts';
import { STATEMENTS, UNNAMED } from './ledger/statements/all.ts';
import { createProvider, type Provider, type ProviderKind } from './psp/provider.ts';
import { createSimRedisServer, type SimRedisServer } from './redis/server.ts';

/** Pauses from this on last as long as they say: a heartbeat is one. */
const PAUSE_KEPT_MS = 1_500;
const PAUSE_MS_MAX = 8_000;
/** However short a loop's pause, the world is this slow: the fewer polls, the more seeds. */
const PAUSE_MS = [10, 600] as const;
/** A step that has just ended may have looked before the last change. */
const LOOKED_BEFORE_MS = 60;

export type Store = 'redis' | 'ledger' | 'psp' | 'http';

export type World = {
  seed: number;
  scheduler: Scheduler;
  random: Random;
  redis: SimRedisServer;
  ledger: SimLedger;
  provider: Provider;
  /** How each network is just now. */
  weather: Record<Store, Weather>;
  up: Record<Exclude<Store, 'http'>, boolean>;
  /** Clocks of the stores less the true time, ms. */
  clock_ms: { redis: number; ledger: number };
  /** Writes a line of the trace. */
  note(what: string): void;
  trace: string[];
  /** Everything that took effect in Redis. */
  taken: EventOfRedis[];
  /** Keys under which another request was answered as if it were the first. */
  altered: { buyer: string; key: string; at_ms: number }[];
  /** Something is not as it must always be. */
  violate(what: string): void;
  violations: string[];
  onCommit: (() => void)[];
  onEvent: ((event: { id: string; payment: object }) => void)[];
  /** When a store changed last, ms. */
  changed_ms(): number;
};

export type WorldOptions = { seed: number; trace: boolean; provider: ProviderKind; pending: number };

export function createWorld({ seed, trace, provider: kind, pending }: WorldOptions): World {
  const random = createRandom(seed);
  const scheduler = createScheduler();
  const clock_ms = { redis: 0, ledger: 0 };
  const lines: string[] = [];
  const violations: string[] = [];
  const taken: EventOfRedis[] = [];
  const listeners = new Set<() => void>();
  const weather: World['weather'] = { redis: FAIR, ledger: FAIR, psp: FAIR, http: FAIR };
  let changed_ms = 0;
  const onEvent: World['onEvent'] = [];
  const onCommit: World['onCommit'] = [];

  const note = (what: string) => {
    if (trace) lines.push(`${(scheduler.now_ms() / 1_000).toFixed(4).padStart(10)}  ${what}`);
  };
  const changed = () => {
    changed_ms = scheduler.now_ms();
    for (const then of [...listeners]) then();
  };
  inhabit(scheduler, createPause());
  const redis = createSimRedisServer({
    now_ms: () => BEGINNING_MS + scheduler.now_ms() + clock_ms.redis,
    name: () => random.bytes(20).toString('hex'),
    told: (event) => {
      taken.push(event);
      changed();
      if (trace) note(`redis     ${describe(event)}`);
    },
  });
  const ledger = createSimLedger({
    now_ms: () => BEGINNING_MS + scheduler.now_ms() + clock_ms.ledger,
    uuid: random.uuid,
    statements: STATEMENTS,
    unnamed: UNNAMED,
    later: (after_ms, run) => void scheduler.after(after_ms, undefined, run),
    on_commit: () => {
      changed();
      for (const then of onCommit) then();
    },
    note,
  });
  const provider = createProvider({
    ...{ kind, random, pending },
    errors: () => weather.psp.lost_reply * 2,
    later: (after_ms, run) => void scheduler.after(after_ms, undefined, run),
    tell: (event) => {
      changed();
      if (trace) note(`psp       ${event.payment.reference.slice(0, 8)} is ${event.payment.status}`);
      for (const then of onEvent) then(event);
    },
  });
  /**
   * Loops poll; most polls find nothing. While no store changes, a short pause lasts until one does, or for long: polls
   * that can't find anything but a time that has come are left out, and those come a little late.
   */
  function createPause(): Pause {
    return (process, ms) =>
      new Promise((resolve) => {
        const begun_ms = scheduler.now_ms();
        if (ms === 0 || ms >= PAUSE_KEPT_MS) {
          scheduler.after(ms, process, resolve);
          return;
        }
        const lasts = Math.max(ms, random.delay_ms(...PAUSE_MS));
        if (begun_ms - changed_ms < LOOKED_BEFORE_MS) {
          scheduler.after(lasts, process, resolve);
          return;
        }
        let resolved = false;
        const end = (after_ms: number) => {
          if (resolved) return;
          resolved = true;
          listeners.delete(wake);
          scheduler.after(after_ms, process, resolve);
        };
        const wake = () => end(Math.max(lasts - (scheduler.now_ms() - begun_ms), 0));
        listeners.add(wake);
        scheduler.after(PAUSE_MS_MAX, undefined, () => end(0));
      });
  }

  return {
    ...{ seed, scheduler, random, redis, ledger, provider, weather, clock_ms, note, taken },
    up: { redis: true, ledger: true, psp: true },
    trace: lines,
    altered: [],
    violations,
    violate(what) {
      if (violations.length < 20) violations.push(what);
      note(`VIOLATION ${what}`);
    },
    onCommit,
    onEvent,
    changed_ms: () => changed_ms,
  };
}

function describe(event: EventOfRedis): string {
  switch (event.kind) {
    case 'taken':
      return `takes ${event.lines.map(({ sku, qty }) => `${qty} ${sku}`).join(', ')} for request ${short(event.id)}`;
    case 'reduced':
      return `takes out of sale ${event.lines.map(({ sku, qty }) => `${qty} ${sku}`).join(', ')}`;
    case 'applied':
      return `applies movements ${event.n}`;
    case 'gate':
      return `sets the gate ${event.gate}`;
  }
}

export const short = (id: string): string => Buffer.from(id, 'latin1').toString('hex').slice(0, 8);

/** Waits in a process's own time. */
export function sleep(world: World, process: Process, ms: number): Promise<void> {
  return new Promise((resolve) => world.scheduler.after(ms, process, resolve));
}
