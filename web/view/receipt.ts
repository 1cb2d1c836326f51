/** An order as a receipt: what was bought, where it stands, what to do next, how it came there, and how to cancel it. */
import type { Order, PaymentMethod, Problem } from '../api-types.ts';
import { messageFor, type NextStep } from '../messages.ts';
import { outlookOf } from '../order-outlook.ts';
import type { Desk, Lines } from '../till.ts';
import { waitText } from '../time.ts';
import { h, setText } from './dom.ts';
import { createNextMove } from './next-move.ts';
import { createNotice } from './notice.ts';
import { parcelOf, receiptLines, timelineOf } from './receipt-parts.ts';

export type Receipt = {
  element: HTMLElement;
  show(order: Order): void;
  /** The order, or its cancellation, was refused. */
  showProblem(problem: Problem): void;
  /** There is no such order for this buyer. */
  showMissing(problem: Problem): void;
  setReachable(reachable: boolean): void;
  setCanceling(canceling: boolean): void;
  /** Whether it is the newest: only that is bought again. */
  setNewest(newest: boolean): void;
  tick(now_ms: number): void;
  focus(): void;
  /** Tells what becomes of buying it again. */
  desk: Desk;
};

export type ReceiptOptions = {
  order_id: string;
  /** Name of a product; its SKU where the sale does not have it any more. */
  nameOf: (sku: string) => string;
  onCancel: () => void;
  onBuyAgain: (lines: Lines, payment_method: PaymentMethod) => void;
  onNext: (step: NextStep) => void;
  onStop: () => void;
};

export function createReceipt(options: ReceiptOptions): Receipt {
  const { order_id, nameOf } = options;
  const title = h('h3', { className: 'receipt-title', tabIndex: -1 }, 'Your order');
  const text = h('p', { className: 'receipt-text' });
  const hold = h('p', { className: 'hold', hidden: true });
  const hold_left = h('span', { className: 'hold-left', attrs: { role: 'timer' } });
  const move = createNextMove((method) => {
    if (last) options.onBuyAgain(linesOf(last), method);
  });
  const notice = createNotice(
    (step) => (step === 'try_again' ? move.press() : options.onNext(step)),
    options.onStop,
  );
  const lines = h('dl', { className: 'receipt-lines', hidden: true });
  const parcel = h('p', { className: 'parcel', hidden: true });
  const timeline = h('ol', { className: 'timeline', attrs: { 'aria-label': 'What happened' } });
  const problem_text = h('p', { className: 'receipt-problem', hidden: true, attrs: { role: 'alert' } });
  const cancel = h('button', { type: 'button', className: 'quiet', hidden: true }, 'Cancel order');
  cancel.onclick = () => {
    if (cancel.getAttribute('aria-disabled') !== 'true') options.onCancel();
  };
  const number = h('p', { className: 'receipt-number' }, 'Order ', h('code', {}, order_id));
  hold.append('Held for ', hold_left);
  const element = h('article', { className: 'receipt moving', attrs: { 'data-order': order_id } });
  element.append(title, text, hold, move.element, notice.element);
  element.append(lines, parcel, timeline, problem_text, cancel, number);
  let last: Order | undefined;
  let expires_ms: number | undefined;

  return {
    element,
    show(order) {
      last = order;
      const outlook = outlookOf(order);
      element.className = `receipt ${outlook.mood}`;
      element.dataset.state = order.state;
      setText(title, outlook.title);
      setText(text, outlook.text);
      move.show(outlook.move, order);
      lines.hidden = false;
      lines.replaceChildren(...receiptLines(order, nameOf));
      replaceIfChanged(parcel, parcelOf(order));
      timeline.replaceChildren(...timelineOf(order));
      cancel.hidden = !outlook.cancelable;
      expires_ms = outlook.held_until ? Date.parse(outlook.held_until) : undefined;
      hold.hidden = expires_ms === undefined;
      problem_text.hidden = true;
    },
    showProblem,
    showMissing(problem) {
      if (problem.code !== 'not_found') return showProblem(problem);
      element.className = 'receipt bad';
      setText(title, 'Not an order of yours here');
      setText(
        text,
        'It was placed in another session, by another buyer, or its number is not right. Open it in the browser and at the address where you bought; the confirmation mail has the order as well.',
      );
    },
    setReachable(reachable) {
      problem_text.hidden = reachable;
      if (!reachable) setText(problem_text, 'The shop does not answer at the moment. Asking again.');
    },
    setCanceling(canceling) {
      cancel.setAttribute('aria-disabled', String(canceling));
      setText(cancel, canceling ? 'Canceling…' : 'Cancel order');
    },
    setNewest: move.setAgainOffered,
    tick(now_ms) {
      notice.tick(now_ms);
      if (expires_ms === undefined) return;
      const left_ms = expires_ms - now_ms;
      hold.hidden = left_ms <= 0;
      setText(hold_left, waitText(left_ms));
    },
    focus: () => title.focus(),
    desk: {
      say: notice.show,
      hush: notice.clear,
      refuse: (problem) => notice.show(messageFor(problem, last?.items[0]?.sku), 'bad'),
      setAsking: move.setAsking,
    },
  };

  function showProblem(problem: Problem): void {
    const message = messageFor(problem);
    problem_text.hidden = false;
    setText(problem_text, `${message.title}. ${message.text}`);
  }
}

function linesOf(order: Order): Lines {
  return order.items.map(({ sku, qty }) => ({ sku, qty }));
}

/** A link that is in focus must not be replaced by its like. */
function replaceIfChanged(place: HTMLElement, nodes: (Node | string)[]): void {
  const next = h('p', {}, ...nodes);
  place.hidden = nodes.length === 0;
  if (place.innerHTML !== next.innerHTML) place.replaceChildren(...next.childNodes);
}
