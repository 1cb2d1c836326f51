/** The shelf: a lane for each product of the sale, with what was last said at it. */
import type { Problem, Sale, SaleItem } from './api-types.ts';
import { type Message, messageFor, type NextStep } from './messages.ts';
import type { StockMemory } from './stock-memory.ts';
import { createLane, type Lane } from './view/lane.ts';

export type Shelf = {
  show(sale: Sale): void;
  /** Says why nothing came of a purchase. */
  refuse(sku: string, problem: Problem): void;
  say(sku: string, message: Message, mood: 'bad' | 'waiting'): void;
  /** Takes back what was said. */
  hush(sku: string): void;
  /** The product whose answer is awaited; meanwhile nothing else can be bought. */
  setAsking(sku: string | undefined): void;
  /** The quantity chosen. */
  qtyOf(sku: string): number;
  tick(now_ms: number): void;
};

export type ShelfOptions = {
  place: HTMLElement;
  memory: StockMemory;
  /** False without a token. */
  may_buy: boolean;
  onBuy: (sku: string, qty: number) => void;
  onNext: (sku: string, step: NextStep) => void;
  onStop: () => void;
};

export function createShelf(options: ShelfOptions): Shelf {
  const lanes = new Map<string, Lane>();
  /** Code of the refusal that stands at a lane. */
  const refused = new Map<string, string>();

  function add({ currency, limit_per_buyer }: Sale, sku: string): Lane {
    const lane = createLane({
      ...{ sku, currency, limit: limit_per_buyer, may_buy: options.may_buy },
      onBuy: (qty) => options.onBuy(sku, qty),
      onNext: (step) => options.onNext(sku, step),
      onStop: options.onStop,
    });
    lanes.set(sku, lane);
    options.place.append(lane.element);
    return lane;
  }

  function say(sku: string, message: Message, mood: 'bad' | 'waiting'): void {
    refused.delete(sku);
    lanes.get(sku)?.notice.show(message, mood);
  }

  function hush(sku: string): void {
    refused.delete(sku);
    lanes.get(sku)?.notice.clear();
  }

  function takeBack(sale: Sale, item: SaleItem): void {
    const code = refused.get(item.sku);
    if (!code || !isOver(code, sale, item)) return;
    if (code === 'temporarily_held') say(item.sku, BACK_AGAIN, 'bad');
    else hush(item.sku);
  }

  return {
    show(sale) {
      for (const item of sale.items) {
        const lane = lanes.get(item.sku) ?? add(sale, item.sku);
        const total = options.memory.totalOf(item.sku, item.available);
        lane.show({ item, total, sale_state: sale.state });
        takeBack(sale, item);
      }
    },
    refuse(sku, problem) {
      say(sku, messageFor(problem, sku), 'bad');
      refused.set(sku, problem.code);
    },
    say,
    hush,
    setAsking(sku) {
      for (const [each, lane] of lanes) {
        lane.setBusy(sku === undefined ? 'no' : sku === each ? 'asking' : 'waiting');
      }
    },
    qtyOf: (sku) => lanes.get(sku)?.qty() ?? 1,
    tick(now_ms) {
      for (const lane of lanes.values()) lane.notice.tick(now_ms);
    },
  };
}

/** Has what a refusal told changed since? */
function isOver(code: string, { state }: Sale, { available }: SaleItem): boolean {
  if (code === 'temporarily_held') return available > 0;
  return (code === 'sale_not_open' || code === 'sale_paused') && state === 'open';
}

const BACK_AGAIN: Message = {
  title: 'Back on sale',
  text: 'A hold has ended. Press Buy, or Try again, before somebody else does.',
  next: 'try_again',
};
