/** Looks at the ledger while everything runs: is what was acknowledged there? Its marks bound what a fault may cost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readSaved } from './checker/read.ts';
import type { History } from './history.ts';
import type { Accepted } from './load/load.ts';

export type Watcher = {
  accepted(order: Accepted): void;
  /** Acknowledged orders that were last not found. */
  unsaved(): Promise<number>;
  stop(): Promise<void>;
};

const LOOK_MS = 400;
/** Of those waiting, newest first, so many are looked for; older ones of the same sale stand before them. */
const LOOKED_FOR_MAX = 300;

export function startWatcher(database_url: () => string, history: History): Watcher {
  let waiting: Accepted[] = [];
  let over = false;

  async function look(): Promise<void> {
    const asked = waiting.slice(-LOOKED_FOR_MAX);
    if (asked.length === 0) return;
    const found = await readSaved(
      database_url(),
      asked.map(({ order_id }) => order_id),
    );
    const at = history.now_ms();
    const newest = new Map<string, Accepted>();
    for (const order of asked) {
      if (!found.has(order.order_id)) continue;
      const known = newest.get(order.purchase.sale);
      if (!known || known.sent < order.sent) newest.set(order.purchase.sale, order);
    }
    for (const [sale, { sent, order_id }] of newest) history.write({ t: 'saved', at, sale, sent, order_id });
    waiting = waiting.filter(({ order_id, purchase, done }) => {
      const mark = newest.get(purchase.sale);
      return !found.has(order_id) && !(mark && done < mark.sent);
    });
  }

  const looking = (async () => {
    while (!over) {
      await look().catch(() => {});
      await sleep(LOOK_MS);
    }
  })();
  return {
    accepted: (order) => waiting.push(order),
    async unsaved() {
      await look().catch(() => {});
      return waiting.length;
    },
    async stop() {
      over = true;
      await looking;
    },
  };
}
