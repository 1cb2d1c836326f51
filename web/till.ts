/** The till: one purchase at a time, and none forgotten. A purchase without an answer is settled before any other. */
import type { Api } from './api.ts';
import type { Accepted, CheckoutBody, PaymentMethod, Problem } from './api-types.ts';
import { type Message, messageFor } from './messages.ts';
import { newPurchase, type Purchase, type PurchaseKeeper, settle } from './purchase.ts';
import type { Shelf } from './shelf.ts';

export type Lines = CheckoutBody['items'];

/** Where the buyer is told what becomes of a purchase. */
export type Desk = {
  say(message: Message, mood: 'bad' | 'waiting'): void;
  /** Takes back what was said. */
  hush(): void;
  refuse(problem: Problem): void;
  setAsking(asking: boolean): void;
};

export type Till = {
  buy(sku: string, qty: number): Promise<void>;
  /** A purchase of its own, under a new key, told at another desk than the product's. */
  buyAgain(items: Lines, payment_method: PaymentMethod, desk: Desk): Promise<void>;
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
  fill: (payment_method?: PaymentMethod) => Omit<CheckoutBody, 'sale_id' | 'items'> | undefined;
  onBought: (accepted: Accepted) => void;
  /** After it was told at the desk. */
  onRefused: (lines: Lines, problem: Problem) => void;
};

export function createTill(options: TillOptions): Till {
  const { sale_id, keeper, shelf } = options;
  let under_way: AbortController | undefined;

  /** The product itself is the desk. */
  function laneDesk(sku: string): Desk {
    return {
      say: (message, mood) => shelf.say(sku, message, mood),
      hush: () => shelf.hush(sku),
      refuse: (problem) => shelf.refuse(sku, problem),
      setAsking: (asking) => shelf.setAsking(asking ? sku : undefined),
    };
  }

  /** While it asks, no product can be bought either. */
  function besideLanes(desk: Desk): Desk {
    return {
      ...desk,
      setAsking(asking) {
        desk.setAsking(asking);
        shelf.setAsking(asking ? '' : undefined);
      },
    };
  }

  async function follow(purchase: Purchase, desk: Desk): Promise<void> {
    under_way = new AbortController();
    desk.hush();
    desk.setAsking(true);
    const settled = await settle(purchase, {
      send: options.send,
      keeper,
      signal: under_way.signal,
      onWaiting: ({ problem }) => desk.say(waitingMessage(problem), 'waiting'),
    });
    under_way = undefined;
    desk.setAsking(false);
    desk.hush();
    if (settled.kind === 'bought') options.onBought(settled.accepted);
    else if (settled.kind === 'unsettled') desk.say(unsettledMessage(settled.problem), 'bad');
    else {
      desk.refuse(settled.problem);
      options.onRefused(purchase.body.items, settled.problem);
    }
  }

  function kept(): Purchase | undefined {
    const purchase = keeper.read();
    return purchase?.body.sale_id === sale_id ? purchase : undefined;
  }

  /** A purchase without an answer goes first, and is told where it was begun or at its product. */
  async function begin(items: Lines, desk: Desk, payment_method?: PaymentMethod): Promise<void> {
    if (under_way) return;
    const unsettled = kept();
    if (unsettled) {
      const same = JSON.stringify(unsettled.body.items) === JSON.stringify(items);
      return follow(unsettled, same ? desk : laneDesk(unsettled.body.items[0]?.sku ?? ''));
    }
    const filled = options.fill(payment_method);
    if (filled) await follow(newPurchase({ sale_id, items, ...filled }), desk);
  }

  return {
    buy: (sku, qty) => begin([{ sku, qty }], laneDesk(sku)),
    buyAgain: (items, payment_method, desk) => begin(items, besideLanes(desk), payment_method),
    async resume() {
      const purchase = kept();
      if (purchase && !under_way) await follow(purchase, laneDesk(purchase.body.items[0]?.sku ?? ''));
    },
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
