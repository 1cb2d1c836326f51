/** The list of my orders: each followed until its end, the newest on top. */
import type { Api } from './api.ts';
import type { Accepted, Order } from './api-types.ts';
import type { MyOrders } from './my-orders.ts';
import { type OrderWatch, watchOrder } from './order-watch.ts';
import { stateRow } from './order-words.ts';
import { byId } from './view/dom.ts';
import { createReceipt, type Receipt } from './view/receipt.ts';

export type Orders = {
  /** A checkout became this order. */
  add(accepted: Accepted): void;
  tick(now_ms: number): void;
};

export type OrdersOptions = {
  api: Api;
  mine: MyOrders;
  nameOf: (sku: string) => string;
  /** Says something to screen readers. */
  speak: (text: string) => void;
};

export function openOrders({ api, mine, nameOf, speak }: OrdersOptions): Orders {
  const receipts = new Map<string, Receipt>();
  const list = byId('orders');

  function open(order_id: string): Receipt {
    let watch: OrderWatch | undefined;
    let last: Order | undefined;
    const receipt = createReceipt({
      order_id,
      nameOf,
      async onCancel() {
        receipt.setCanceling(true);
        const answer = await api.cancel(order_id);
        receipt.setCanceling(false);
        // Looked at first: what the order has become explains the refusal.
        watch?.look();
        if (answer.kind === 'refused') receipt.showProblem(answer.problem);
      },
    });
    receipts.set(order_id, receipt);
    watch = watchOrder({
      ask: () => api.order(order_id),
      onOrder(order) {
        if (last && last.state !== order.state) speak(`Order: ${stateRow(order.state).title}`);
        last = order;
        receipt.show(order);
      },
      onRefused: (problem) => receipt.showProblem(problem),
      onReachable: receipt.setReachable,
    });
    return receipt;
  }

  function showCount(): void {
    byId('no-orders').hidden = receipts.size > 0;
  }

  for (const order_id of mine.list()) list.append(open(order_id).element);
  showCount();

  return {
    add(accepted) {
      mine.add(accepted.order_id);
      const known = receipts.get(accepted.order_id);
      const receipt = known ?? open(accepted.order_id);
      if (!known) {
        const { order_id, sale_id, items, amounts, reservation } = accepted;
        const history = [{ at: reservation.server_time, from: null, to: 'reserved' as const }];
        receipt.show({ order_id, sale_id, items, amounts, reservation, state: 'reserved', history });
      }
      list.prepend(receipt.element);
      showCount();
      receipt.focus();
    },
    tick(now_ms) {
      for (const receipt of receipts.values()) receipt.tick(now_ms);
    },
  };
}
