/** An order as a receipt: what was bought, where it stands, how it came there, and how to cancel it. */
import type { Order, Problem } from '../api-types.ts';
import { messageFor } from '../messages.ts';
import { formatMoney } from '../money.ts';
import { eventText, orderText, stateRow } from '../order-words.ts';
import { clockText, timeOfDay } from '../time.ts';
import { h, setText } from './dom.ts';

export type Receipt = {
  element: HTMLElement;
  show(order: Order): void;
  /** The order, or its cancellation, was refused. */
  showProblem(problem: Problem): void;
  setReachable(reachable: boolean): void;
  setCanceling(canceling: boolean): void;
  tick(now_ms: number): void;
  focus(): void;
};

export type ReceiptOptions = {
  order_id: string;
  /** Name of a product; its SKU where the sale does not have it any more. */
  nameOf: (sku: string) => string;
  onCancel: () => void;
};

export function createReceipt({ order_id, nameOf, onCancel }: ReceiptOptions): Receipt {
  const title = h('h3', { className: 'receipt-title', tabIndex: -1 }, 'Order placed');
  const text = h('p', { className: 'receipt-text' });
  const hold = h('p', { className: 'hold', hidden: true });
  const hold_left = h('span', { className: 'hold-left', attrs: { role: 'timer' } });
  const lines = h('dl', { className: 'receipt-lines' });
  const timeline = h('ol', { className: 'timeline', attrs: { 'aria-label': 'What happened' } });
  const problem_text = h('p', { className: 'receipt-problem', hidden: true, attrs: { role: 'alert' } });
  const cancel = h('button', { type: 'button', className: 'quiet', hidden: true }, 'Cancel order');
  cancel.onclick = () => {
    if (cancel.getAttribute('aria-disabled') !== 'true') onCancel();
  };
  const number = h('p', { className: 'receipt-number' }, 'Order ', h('code', {}, order_id));
  hold.append('Held for ', hold_left);
  const element = h('article', { className: 'receipt moving', attrs: { 'data-order': order_id } });
  element.append(title, text, hold, lines, timeline, problem_text, cancel, number);
  let expires_ms: number | undefined;

  return {
    element,
    show(order) {
      const row = stateRow(order.state);
      element.className = `receipt ${row.mood}`;
      element.dataset.state = order.state;
      setText(title, row.title);
      setText(text, orderText(order));
      lines.replaceChildren(...receiptLines(order, nameOf));
      timeline.replaceChildren(...timelineOf(order));
      cancel.hidden = !row.cancelable;
      expires_ms = row.mood === 'moving' ? Date.parse(order.reservation?.expires_at ?? '') : undefined;
      hold.hidden = !expires_ms;
      problem_text.hidden = true;
    },
    showProblem(problem) {
      const message = messageFor(problem);
      problem_text.hidden = false;
      setText(problem_text, `${message.title}. ${message.text}`);
    },
    setReachable(reachable) {
      problem_text.hidden = reachable;
      if (!reachable) setText(problem_text, 'The shop does not answer at the moment. Asking again.');
    },
    setCanceling(canceling) {
      cancel.setAttribute('aria-disabled', String(canceling));
      setText(cancel, canceling ? 'Canceling…' : 'Cancel order');
    },
    tick(now_ms) {
      if (expires_ms) setText(hold_left, clockText(expires_ms - now_ms));
    },
    focus: () => title.focus(),
  };
}

function receiptLines(order: Order, nameOf: (sku: string) => string): HTMLElement[] {
  const { currency, total } = order.amounts;
  const row = (label: string, value: string, className = '') =>
    h('div', { className }, h('dt', {}, label), h('dd', {}, value));
  return [
    ...order.items.map(({ sku, qty, unit_price }) =>
      row(`${qty} × ${nameOf(sku)}`, formatMoney(qty * unit_price, currency)),
    ),
    row('Total', formatMoney(total, currency), 'total'),
  ];
}

function timelineOf(order: Order): HTMLElement[] {
  return (order.history ?? []).map((event) =>
    h('li', {}, h('time', { dateTime: event.at }, timeOfDay(event.at)), ' ', h('span', {}, eventText(event))),
  );
}
