/** The till: one purchase at a time, and none forgotten. A purchase without an answer is settled before any other. */
import type { Api } from './api.ts';
import type { Accepted, CheckoutBody, Problem } from './api-types.ts';
import { type Message, messageFor } from './messages.ts';
import { newPurchase, type Purchase, type PurchaseKeeper, settle } from './purchase.ts';
import type { Shelf } from './shelf.ts';

export type Till = {
  buy(sku: string, qty: number): Promise<void>;
  /** Goes on with the purchase that a reload or a lost connection left without an answer. */
  resume(): Promise<void>;
  stop(): void;
};

export type TillOptions = {
  sale_id: string;
  send: Api['checkout'];
  keeper: PurchaseKeeper;
  shelf: Shelf;
  /** How to pay and where to ship, or undefined if that is not filled in. */
  fill: () => Pick<CheckoutBody, 'payment_method' | 'shipping_address'> | undefined;
  onBought: (accepted: Accepted) => void;
  onRefused: (sku: string, problem: Problem) => void;
};

export function createTill(options: TillOptions): Till {
  const { sale_id, keeper, shelf } = options;
  let under_way: AbortController | undefined;

  async function follow(purchase: Purchase): Promise<void> {
    const sku = purchase.body.items[0]?.sku ?? '';
    under_way = new AbortController();
    shelf.hush(sku);
    shelf.setAsking(sku);
    const settled = await settle(purchase, {
      send: options.send,
      keeper,
      signal: under_way.signal,
      onWaiting: ({ problem }) => shelf.say(sku, waitingMessage(problem), 'waiting'),
    });
    under_way = undefined;
    shelf.setAsking(undefined);
    shelf.hush(sku);
    if (settled.kind === 'bought') options.onBought(settled.accepted);
    else if (settled.kind === 'refused') options.onRefused(sku, settled.problem);
    else shelf.say(sku, unsettledMessage(settled.problem), 'bad');
  }

  async function resume(): Promise<void> {
    const kept = keeper.read();
    if (kept && !under_way && kept.body.sale_id === sale_id) await follow(kept);
  }

  return {
    async buy(sku, qty) {
      if (under_way) return;
      if (keeper.read()?.body.sale_id === sale_id) return resume();
      const filled = options.fill();
      if (filled) await follow(newPurchase({ sale_id, items: [{ sku, qty }], ...filled }));
    },
    resume,
    stop: () => under_way?.abort(),
  };
}

function waitingMessage(problem: Problem | undefined): Message {
  const { title } = problem ? messageFor(problem) : { title: 'No answer yet' };
  return { title, text: 'We keep asking with the same key, so you cannot buy twice. Leave this page open.' };
}

function unsettledMessage(problem: Problem | undefined): Message {
  const { title } = problem ? messageFor(problem) : { title: 'No answer came' };
  return {
    title,
    text: 'Whether you bought it is not known yet. Try again finds out: it uses the same key, so you cannot buy twice.',
    next: 'try_again',
  };
}
