/** The reconciler's sale locks (reconciler/sale-locks.ts) over a simulated session of the ledger. */
import { lockKey } from '../../../ledger/locks.ts';
import type { SaleLocks } from '../../../reconciler/sale-locks.ts';
import type { Process } from '../core/scheduler.ts';
import { createWire, type Wire } from '../core/wire.ts';
import type { World } from '../world.ts';

/** How long a lost connection may go unnoticed by who holds the locks, ms. */
const NOTICED_MS_MAX = 6_000;

export function createSimLocks(world: World, process: Process): SaleLocks & { cut(): void } {
  const { scheduler, random, ledger } = world;
  let held = new Set<string>();
  let wire: Wire | undefined;
  let owner = {};

  function connect(): Wire {
    if (wire?.alive()) return wire;
    if (!world.up.ledger) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const mine = {};
    owner = mine;
    const session = ledger.session();
    const fresh = createWire({
      ...{ scheduler, random, process, weather: () => world.weather.ledger },
      on_cut: () => {
        session.end();
        ledger.advisory.freeAll(mine);
        scheduler.after(random.delay_ms(0.1, NOTICED_MS_MAX), process, () => {
          if (owner === mine) held = new Set();
        });
      },
      note: (why) => world.note(`${process.name} locks: ${why}`),
    });
    session.on_end = () => fresh.cut('ended by the server');
    wire = fresh;
    return fresh;
  }

  function ask<T>(work: (owner: object) => T): Promise<T> {
    const line = connect();
    const mine = owner;
    return new Promise((resolve, reject) =>
      line.request<T>(
        (answer) => answer(work(mine)),
        resolve,
        () => {
          held = new Set();
          reject(new Error('Connection terminated unexpectedly'));
        },
      ),
    );
  }

  return {
    async acquire(name, saleNo) {
      const key = lockKey(name, saleNo);
      if (held.has(key)) return true;
      if (!(await ask((who) => ledger.advisory.take(key, who)))) return false;
      held.add(key);
      return true;
    },
    holds: (name, saleNo) => held.has(lockKey(name, saleNo)),
    check: async () => {
      if (held.size > 0) await ask(() => true);
    },
    close: () => Promise.resolve(),
    cut() {
      wire?.cut('killed');
    },
  };
}
