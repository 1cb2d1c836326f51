/** The list of my orders: each followed until its end, the newest on top. */
import type { Api } from './api.ts';
import type { Accepted, Order, PaymentMethod } from './api-types.ts';
import type { NextStep } from './messages.ts';
import type { MyOrders } from './my-orders.ts';
import { outlookOf } from './order-outlook.ts';
import { type OrderWatch, watchOrder } from './order-watch.ts';
import type { Desk, Lines } from './till.ts';
import { byId } from './view/dom.ts';
import { createReceipt, type Receipt } from './view/receipt.ts';

export type Orders = {
  /** A checkout became this order. */
  add(accepted: Accepted): void;
  /** The page was opened for this order: to the top, and into view once it is known how it stands. */
  bring(order_id: string): void;
  /** Asks for all that are still followed, as when the page comes back into view. */
  look(): void;
  tick(now_ms: number): void;
};

export type OrdersOptions = {
  api: Api;
  mine: MyOrders;
  nameOf: (sku: string) => string;
  /** Says something to screen readers. */
  speak: (text: string) => void;
  onBuyAgain: (lines: Lines, payment_method: PaymentMethod, desk: Desk) => void;
  onNext: (step: NextStep) => void;
  onStop: () => void;
};

type Followed = { receipt: Receipt; watch: OrderWatch };

export function openOrders(options: OrdersOptions): Orders {
  const { api, mine, nameOf, speak } = options;
  const followed = new Map<string, Followed>();
  const list = byId('orders');

  /** `onFirst`: when it is known how the order stands, or that it can't be had. */
  function open(order_id: string, onFirst?: (order: Order | undefined) => void): Followed {
    let last_title: string | undefined;
    let first = onFirst;
    const receipt = createReceipt({
      ...{ order_id, nameOf, onNext: options.onNext, onStop: options.onStop },
      async onCancel() {
        receipt.setCanceling(true);
        const answer = await api.cancel(order_id);
        receipt.setCanceling(false);
        // Looked at first: what the order has become explains the refusal.
        watch.look();
        if (answer.kind === 'refused') receipt.showProblem(answer.problem);
      },
      onBuyAgain: (lines, method) => options.onBuyAgain(lines, method, receipt.desk),
    });
    const watch = watchOrder({
      ask: () => api.order(order_id),
      onOrder(order) {
        const { title } = outlookOf(order);
        if (last_title !== undefined && last_title !== title) speak(`Order: ${title}`);
        last_title = title;
        receipt.show(order);
        first?.(order);
        first = undefined;
      },
      onRefused(problem) {
        receipt.showMissing(problem);
        first?.(undefined);
        first = undefined;
      },
      onReachable: receipt.setReachable,
    });
    const both = { receipt, watch };
    followed.set(order_id, both);
    return both;
  }

  function toTop(receipt: Receipt): void {
    list.prepend(receipt.element);
    byId('no-orders').hidden = true;
    showWhoMayBuyAgain();
  }

  /** Only the newest: whoever has bought something since has bought again. */
  function showWhoMayBuyAgain(): void {
    for (const { receipt } of followed.values()) receipt.setNewest(receipt.element === list.firstChild);
  }

  for (const order_id of mine.list()) list.append(open(order_id).receipt.element);
  byId('no-orders').hidden = followed.size > 0;
  showWhoMayBuyAgain();

  return {
    add(accepted) {
      mine.add(accepted.order_id);
      const known = followed.get(accepted.order_id);
      const { receipt } = known ?? open(accepted.order_id);
      if (!known) {
        const { order_id, sale_id, items, amounts, reservation } = accepted;
        const at = reservation.server_time;
        const history = [{ at, from: null, to: 'reserved' as const }];
        receipt.show({
          order_id,
          sale_id,
          items,
          amounts,
          reservation,
          state: 'reserved',
          history,
          as_of: at,
        });
      }
      toTop(receipt);
      receipt.focus();
    },
    bring(order_id) {
      const known = followed.get(order_id);
      const shown = (order: Order | undefined) => {
        if (order) {
          mine.add(order_id);
          speak(`Order: ${outlookOf(order).title}`);
        }
        receipt.focus();
      };
      const { receipt, watch } = known ?? open(order_id, shown);
      toTop(receipt);
      if (!known) return;
      receipt.focus();
      watch.look();
    },
    look() {
      for (const { watch } of followed.values()) watch.look();
    },
    tick(now_ms) {
      for (const { receipt } of followed.values()) receipt.tick(now_ms);
    },
  };
}
