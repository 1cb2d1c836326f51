/**
 * Stock and state pushed to whoever watches a sale: one reading of Redis a tick for all watchers of a sale,
 * and a message only when something changed. The first message of a socket tells everything, those after
 * it what is new.
 */
import { iso } from '../reply.ts';
import type { Sale } from '../sales/sale.ts';
import type { SaleStock, StockReader } from '../sales/stock.ts';

export type LiveHub = {
  /** A watcher came. Returns its first message if the stock is known already; else it comes with the next tick. */
  joined(sale: Sale): string | undefined;
  left(sale: Sale): void;
  watchers(): number;
  close(): void;
};

export type LiveHubOptions = {
  stock: StockReader;
  publish: (topic: string, message: string) => void;
  /** Time between two readings, ms: at most ten messages a second. */
  tick_ms?: number;
  failed: (error: unknown) => void;
};

type Watched = {
  sale: Sale;
  watchers: number;
  told: SaleStock | undefined;
  timer: NodeJS.Timeout;
  reading: boolean;
};

export const topicOf = (sale: Pick<Sale, 'tenant' | 'id'>): string => `${sale.tenant}:${sale.id}`;

export function createLiveHub(options: LiveHubOptions): LiveHub {
  const { stock, publish, failed, tick_ms = 100 } = options;
  const watched = new Map<string, Watched>();

  async function tick(topic: string, entry: Watched): Promise<void> {
    // A Redis that is slow is asked less often.
    if (entry.reading) return;
    entry.reading = true;
    try {
      const now = await stock(entry.sale);
      if (watched.get(topic) !== entry) return;
      const message = changes(entry.sale, entry.told, now);
      entry.told = now;
      if (message) publish(topic, message);
    } catch (error) {
      failed(error);
    } finally {
      entry.reading = false;
    }
  }

  return {
    joined(sale) {
      const topic = topicOf(sale);
      const known = watched.get(topic);
      if (known) {
        known.watchers += 1;
        return known.told && changes(sale, undefined, known.told);
      }
      const timer = setInterval(() => void tick(topic, entry), tick_ms);
      const entry: Watched = { sale, watchers: 1, told: undefined, timer, reading: false };
      watched.set(topic, entry);
      void tick(topic, entry);
      return undefined;
    },
    left(sale) {
      const topic = topicOf(sale);
      const entry = watched.get(topic);
      if (!entry) return;
      entry.watchers -= 1;
      if (entry.watchers > 0) return;
      clearInterval(entry.timer);
      watched.delete(topic);
    },
    watchers() {
      let sum = 0;
      for (const entry of watched.values()) sum += entry.watchers;
      return sum;
    },
    close() {
      for (const entry of watched.values()) clearInterval(entry.timer);
      watched.clear();
    },
  };
}

/** The message that brings whoever knows `before` to `now`; undefined when nothing changed. */
export function changes(sale: Sale, before: SaleStock | undefined, now: SaleStock): string | undefined {
  const items: { sku: string; available: number; held: number }[] = [];
  sale.skus.forEach((sku, i) => {
    if (before && before.available[i] === now.available[i] && before.held[i] === now.held[i]) return;
    items.push({ sku, available: now.available[i], held: now.held[i] });
  });
  if (before && items.length === 0 && before.state === now.state) return undefined;
  return JSON.stringify({ id: sale.id, state: now.state, server_time: iso(now.now_ms), items });
}
