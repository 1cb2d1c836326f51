/**
 * Open-loop load: requests come when they come, whether those before are answered or not. Several sales in turn, each
 * with one hot SKU that most want and that sells out in the middle, is topped up, sells out again, and is closed. What
 * comes is drawn: 68% new purchases, 20% the same request under the same key again, 5% another request under a known key,
 * 2% hang up, 5% are not valid.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Item, SaleLine } from '../checker/lines.ts';
import type { History } from '../history.ts';
import { BROKEN } from './broken.ts';
import type { Bought, Client, Purchase } from './client.ts';
import { payTokenOf, plannedDeeds } from './deeds.ts';

export type LoadOptions = {
  client: Client;
  history: History;
  random: () => number;
  /** Requests a second, all sales together. */
  rate: number;
  /** Sales at a time, and how long each is on, ms. */
  sales: number;
  sale_ms: number;
  hold_seconds: number;
  /** In the names of its sales. */
  name: string;
  accepted: (order: Accepted) => void;
};

export type Accepted = { purchase: Purchase; order_id: string; sent: number; done: number };

export type Load = {
  /** Counts of what was sent and answered until now. */
  counts: Record<string, number>;
  /**
   * Resolves when every sale that is on has given a final answer to a purchase sent after `since_ms` (of the history); false if
   * that does not come in time.
   */
  serving(since_ms: number, patience_ms: number): Promise<boolean>;
  /** The time that so much of the first requests took at most, ms. */
  slowest(share: number): number;
  /** No new purchases; resolves when everybody has an answer or has given up, all deeds are done and all sales closed. */
  stop(): Promise<void>;
  /** Names of all sales so far. */
  sales: string[];
};

const TICK_MS = 5;
const SHARES = { retry: 0.2, altered: 0.05, abort: 0.02, invalid: 0.05 };
const HOT_SHARE = 0.8;
const COLD_SKUS = 5;
const LIMIT = 3;
const HOT_UNITS_MAX = 4_000;
const UNIT_PRICE = 1_250;
/** A client without an answer asks so often, under the same key, each pause about twice as long as the one before. */
const TRIES = 7;

type RunningSale = {
  id: string;
  hot: string;
  cold: string[];
  sent: Purchase[];
  buyers: string[];
  count: number;
};

export function startLoad(options: LoadOptions): Load {
  const { client, random, history } = options;
  const counts: Record<string, number> = {};
  const tally = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const sales: string[] = [];
  const took_ms: number[] = [];
  /** When the newest purchase was sent that a sale has answered for good. */
  const served = new Map<string, number>();
  const current: (RunningSale | undefined)[] = Array.from({ length: options.sales });
  const before: (RunningSale | undefined)[] = [];
  const pending = new Set<Promise<unknown>>();
  let stopping = false;
  const later = <T>(work: Promise<T>) => {
    const done = work.catch((error) => history.write({ t: 'surprise', what: `client: ${error}` }));
    const tracked = done.finally(() => pending.delete(tracked));
    pending.add(tracked);
  };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  /** Returns sooner when it is over. */
  const pause = async (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end && !stopping; ) await sleep(20);
  };

  async function slot(no: number): Promise<void> {
    // One after another, so that some sale is always in its middle.
    await pause((no * options.sale_ms) / options.sales);
    while (!stopping) await runSale(no);
  }

  async function runSale(no: number): Promise<void> {
    const id = `${options.name}-${sales.length}`;
    const demand = (options.rate / options.sales) * (options.sale_ms / 1_000) * 0.68;
    const hot_units = Math.min(HOT_UNITS_MAX, Math.ceil(demand * HOT_SHARE * 0.4));
    const cold = Array.from({ length: COLD_SKUS }, (_, i) => `cold-${i}`);
    const sale: SaleLine & { hold_seconds: number } = {
      ...{ t: 'sale', sale: id, limit: LIMIT, currency: 'USD', hold_seconds: options.hold_seconds },
      items: [
        { sku: 'hot', qty: Math.max(5, hot_units), unit_price: UNIT_PRICE },
        ...cold.map((sku, i) => ({ sku, qty: Math.ceil(demand / 10) + 5, unit_price: 500 + 100 * i })),
      ],
    };
    sales.push(id);
    await client.createSale(sale);
    current[no] = { id, hot: 'hot', cold, sent: [], buyers: [], count: 0 };
    const begun = performance.now();
    const until = (share: number) => pause(begun + share * options.sale_ms - performance.now());
    const operate = (verb: 'topup' | 'reduce', items: Item[]) =>
      client.operate({ verb, sale: id, key: `${id}-${verb}-000000000`, items });
    await until(0.5);
    if (random() < 0.4) {
      await client.operate({ verb: 'pause', sale: id });
      await pause(1_000);
      await client.operate({ verb: 'resume', sale: id });
    }
    await until(0.6);
    await operate('topup', [{ sku: 'hot', qty: Math.ceil(hot_units / 5) + 1 }]);
    await until(0.75);
    await operate('reduce', [{ sku: 'cold-0', qty: 3 }]);
    await until(1);
    before[no] = current[no];
    current[no] = undefined;
    await client.operate({ verb: 'close', sale: id });
    tally('sales');
  }

  function arrive(): void {
    const no = Math.floor(random() * options.sales);
    const sale = random() < 0.03 ? (before[no] ?? current[no]) : current[no];
    if (sale) send(sale, random());
  }

  function send(sale: RunningSale, draw: number): void {
    const { retry, altered, abort, invalid } = SHARES;
    const known = sale.sent.length > 0 ? pick(sale.sent) : undefined;
    const purchase = newPurchase(sale);
    if (draw < retry && known) request(known, 'retry');
    else if (draw < retry + altered && known) {
      const items = known.items.map(({ sku, qty }) => ({ sku, qty: (qty % LIMIT) + 1 }));
      request({ ...known, items }, 'altered');
    } else if (draw < retry + altered + abort) request(purchase, 'abort', { abort_ms: random() * 15 });
    else if (draw < retry + altered + abort + invalid) {
      request(purchase, 'invalid', { broken: pick(Object.keys(BROKEN)) });
    } else {
      sale.sent.push(purchase);
      later(buyLikeAClient(purchase));
    }
  }

  function request(
    purchase: Purchase,
    kind: 'retry' | 'altered' | 'abort' | 'invalid',
    how: { abort_ms?: number; broken?: string } = {},
  ): void {
    tally(kind);
    later(client.buy(purchase, kind, how).then((bought) => answered(bought)));
  }

  function answered({ status }: Bought): void {
    tally(status === undefined ? 'unanswered' : `status_${status}`);
  }

  function newPurchase(sale: RunningSale): Purchase {
    sale.count += 1;
    const known = random() < 0.1 && sale.buyers.length > 0;
    const buyer = known ? pick(sale.buyers) : `${sale.id}-buyer-${sale.count}`;
    if (!known) sale.buyers.push(buyer);
    const qty = random() < 0.85 ? 1 : 2;
    const items = [{ sku: random() < HOT_SHARE ? sale.hot : pick(sale.cold), qty }];
    if (random() < 0.1 && items[0]?.sku === sale.hot) items.push({ sku: pick(sale.cold), qty: 1 });
    return {
      ...{ sale: sale.id, buyer, items },
      key: `${sale.id}-key-${String(sale.count).padStart(8, '0')}`,
      road: random() < 0.15 ? 'lock' : 'checkout',
      pay_token: payTokenOf(random()),
    };
  }

  /** The same request until an answer is final, then what its buyer and the operator do about the order. */
  async function buyLikeAClient(purchase: Purchase): Promise<void> {
    tally('fresh');
    for (let no = 0; no < TRIES; no++) {
      const bought = await client.buy(purchase, no === 0 ? 'fresh' : 'again');
      answered(bought);
      if (no === 0) took_ms.push(history.now_ms() - bought.sent);
      const final = bought.status !== undefined && bought.status < 500 && bought.status !== 429;
      if (final) served.set(purchase.sale, Math.max(bought.sent, served.get(purchase.sale) ?? 0));
      if (bought.status === 201 && bought.order_id) {
        options.accepted({ purchase, order_id: bought.order_id, sent: bought.sent, done: history.now_ms() });
        return deeds(purchase, bought.order_id);
      }
      if (final) return;
      await sleep(2 ** no * 300 * (0.5 + random()));
    }
    tally('gave_up');
  }

  async function deeds(purchase: Purchase, order_id: string): Promise<void> {
    for (const { deed, after_ms, amount } of plannedDeeds(purchase, random, UNIT_PRICE)) {
      await sleep(stopping ? after_ms / 4 : after_ms);
      for (let no = 0; no < TRIES; no++) {
        const status = await client.deed({ deed, order_id, amount }, purchase);
        tally(`deed_${deed}`);
        // 409: not yet, or not any more. The next one may still be possible.
        if (status !== undefined && status < 500 && (status !== 409 || no >= 3)) break;
        await sleep(1_000);
      }
    }
  }

  async function arrivals(): Promise<void> {
    let due = performance.now();
    while (!stopping) {
      for (const now = performance.now(); due <= now; ) {
        arrive();
        due += (-Math.log(1 - random()) * 1_000) / options.rate;
      }
      await sleep(TICK_MS);
    }
  }

  const working = [arrivals(), ...Array.from({ length: options.sales }, (_, no) => slot(no))];
  return {
    counts,
    sales,
    slowest(share) {
      const sorted = took_ms.toSorted((a, b) => a - b);
      return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
    },
    async serving(since_ms, patience_ms) {
      for (const end = performance.now() + patience_ms; performance.now() < end; ) {
        const on = current.filter((sale) => sale !== undefined);
        if (on.length > 0 && on.every(({ id }) => (served.get(id) ?? -1) >= since_ms)) return true;
        await sleep(50);
      }
      return false;
    },
    async stop() {
      stopping = true;
      await Promise.all(working);
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
