/** What goes wrong in a world, besides the weather: drawn from the seed, between any two steps. */
import { resume } from '../core/scheduler.ts';
import type { Keyspace } from '../redis/keyspace.ts';
import type { World } from '../world.ts';
import type { Engine } from './engine.ts';
import type { Reconciler } from './reconciler.ts';

export const FAULTS = [
  'kill engine',
  'stop engine',
  'kill reconciler',
  'stop reconciler',
  'restart redis',
  'restart redis with an older copy',
  'restart redis empty',
  'flushall',
  'promote a replica',
  'script flush',
  'restart ledger',
  'provider away',
  'shift ledger clock',
  'shift redis clock',
  'cut connections',
] as const;
export type Fault = (typeof FAULTS)[number];

/** After these Redis may have forgotten what it acknowledged and the ledger had not ingested (ARCHITECTURE, promises). */
const FORGETS: readonly Fault[] = ['restart redis with an older copy', 'restart redis empty', 'flushall'];

export type Crew = {
  engines: (Engine | undefined)[];
  reconcilers: (Reconciler | undefined)[];
  /** A new process takes the place of one that was killed. */
  start(kind: 'engine' | 'reconciler', at: number): void;
};

export type FaultLog = { fault: Fault; at_ms: number };

export function plan(
  world: World,
  crew: Crew,
  count: number,
  until_ms: number,
): { log: FaultLog[]; forgot_ms: () => number } {
  const { random, scheduler } = world;
  const log: FaultLog[] = [];
  const copies: Keyspace[] = [];
  for (let i = 0; i < 3; i++) {
    scheduler.after(random.next() * until_ms, undefined, () => copies.push(world.redis.copy()));
  }
  for (let i = 0; i < count; i++) {
    scheduler.after(200 + random.next() * (until_ms - 200), undefined, () => strike(random.pick(FAULTS)));
  }

  function away(store: 'redis' | 'ledger' | 'psp', ms: number): void {
    world.up[store] = false;
    scheduler.after(ms, undefined, () => {
      world.up[store] = true;
    });
  }

  function cutRedis(): void {
    for (const engine of crew.engines) engine?.cutRedis('redis went away');
    for (const reconciler of crew.reconcilers) reconciler?.cutRedis('redis went away');
  }

  function kill(kind: 'engine' | 'reconciler'): void {
    const list = kind === 'engine' ? crew.engines : crew.reconcilers;
    const at = random.int(0, list.length - 1);
    const victim = list[at];
    if (!victim) return;
    victim.process.state = 'dead';
    victim.cut();
    list[at] = undefined;
    scheduler.after(random.delay_ms(100, 5_000), undefined, () => crew.start(kind, at));
  }

  function stop(kind: 'engine' | 'reconciler'): void {
    const victim = random.pick<Engine | Reconciler | undefined>(
      kind === 'engine' ? crew.engines : crew.reconcilers,
    );
    if (victim?.process.state !== 'up') return;
    victim.process.state = 'stopped';
    scheduler.after(random.delay_ms(100, 12_000), undefined, () => resume(scheduler, victim.process));
  }

  function restartRedis(memory: 'kept' | 'empty' | Keyspace): void {
    cutRedis();
    away('redis', random.delay_ms(20, 3_000));
    world.redis.restart(memory);
  }

  function strike(fault: Fault): unknown {
    log.push({ fault, at_ms: scheduler.now_ms() });
    world.note(`FAULT     ${fault}`);
    switch (fault) {
      case 'kill engine':
        return kill('engine');
      case 'kill reconciler':
        return kill('reconciler');
      case 'stop engine':
        return stop('engine');
      case 'stop reconciler':
        return stop('reconciler');
      case 'restart redis':
        return restartRedis('kept');
      case 'restart redis with an older copy':
        return restartRedis(copies.length > 0 ? random.pick(copies) : 'empty');
      case 'restart redis empty':
        return restartRedis('empty');
      case 'flushall':
        return world.redis.flushAll();
      case 'promote a replica':
        cutRedis();
        return world.redis.promote();
      case 'script flush':
        return world.redis.scriptFlush();
      case 'restart ledger':
        away('ledger', random.delay_ms(50, 6_000));
        return world.ledger.restart();
      case 'provider away':
        return away('psp', random.delay_ms(500, 10_000));
      case 'shift ledger clock':
        world.clock_ms.ledger += random.int(-300_000, 300_000);
        return undefined;
      case 'shift redis clock':
        world.clock_ms.redis += random.int(-300_000, 300_000);
        return undefined;
      case 'cut connections': {
        const victims = [...crew.engines, ...crew.reconcilers].filter((one) => one !== undefined);
        return victims.length > 0 && random.pick(victims).cutAll('network');
      }
    }
  }

  const forgot_ms = () => log.find(({ fault }) => FORGETS.includes(fault))?.at_ms ?? Number.POSITIVE_INFINITY;
  return { log, forgot_ms };
}
