/** One product: name, what is left as number and barcode, price, quantity, Buy, and what came of it. */
import type { SaleItem, SaleState } from '../api-types.ts';
import type { NextStep } from '../messages.ts';
import { formatMoney } from '../money.ts';
import { createBarcode } from './barcode.ts';
import { h, setText } from './dom.ts';
import { createNotice, type Notice } from './notice.ts';
import { createStepper } from './stepper.ts';

export type LaneState = {
  item: SaleItem;
  /** The most units ever seen for sale. */
  total: number;
  sale_state: SaleState;
};

export type Busy = 'no' | 'asking' | 'waiting';

export type Lane = {
  element: HTMLElement;
  notice: Notice;
  show(state: LaneState): void;
  /** `asking`: its own answer is awaited; `waiting`: that of another lane. */
  setBusy(busy: Busy): void;
  /** The quantity chosen. */
  qty(): number;
};

export type LaneOptions = {
  sku: string;
  currency: string;
  /** 0 for none. */
  limit: number;
  may_buy: boolean;
  onBuy: (qty: number) => void;
  onNext: (step: NextStep) => void;
  onStop: () => void;
};

const CLOSED_WORDS: Partial<Record<SaleState, string>> = {
  scheduled: 'Not open yet',
  paused: 'Paused',
  closed: 'Closed',
};

const QTY_MAX = 99;

export function createLane(options: LaneOptions): Lane {
  const { sku, currency } = options;
  const name = h('h2', { className: 'lane-name', id: `name-${sku}` });
  const left = h('strong', { className: 'left-number' });
  const left_word = h('span', { className: 'left-word' });
  const barcode = createBarcode(sku);
  // Said by the number and the button already.
  const stamp = h('span', { className: 'stamp', attrs: { 'aria-hidden': 'true' } });
  const price = h('span', { className: 'price' });
  const stepper = createStepper(sku, options.limit || QTY_MAX, showLabel);
  const buy = h('button', {
    type: 'button',
    id: `buy-${sku}`,
    className: 'buy',
    // What it says, and of what.
    attrs: { 'aria-labelledby': `buy-${sku} name-${sku}` },
  });
  const notice = createNotice(options.onNext, options.onStop);
  const element = h(
    'article',
    { className: 'lane', attrs: { 'aria-labelledby': name.id, 'data-sku': sku } },
    h('div', { className: 'lane-head' }, name, h('p', { className: 'left' }, left, left_word)),
  );
  element.append(
    h('div', { className: 'stock' }, barcode.element, stamp),
    h('div', { className: 'lane-foot' }, price, stepper.element, buy),
    notice.element,
  );
  let state: LaneState | undefined;
  let busy: Busy = 'no';

  buy.onclick = () => {
    if (buy.getAttribute('aria-disabled') !== 'true') options.onBuy(stepper.value());
  };

  /** The button stays focusable when it can't be used, so that nobody's focus is lost by a sale that closes. */
  function showLabel(): void {
    if (!state) return;
    const { item, sale_state } = state;
    const sold_out = item.available === 0 && item.held === 0;
    const closed =
      CLOSED_WORDS[sale_state] ?? (sold_out ? 'Sold out' : options.may_buy ? undefined : 'Only to look at');
    const qty = stepper.value();
    const usable = busy === 'no' && closed === undefined;
    const offer = `Buy ${qty} for ${formatMoney(qty * item.unit_price, currency)}`;
    const text = busy === 'asking' ? 'Asking…' : (closed ?? offer);
    setText(buy, text);
    buy.setAttribute('aria-disabled', String(!usable));
    stepper.setDisabled(!usable);
    setText(stamp, item.available > 0 ? '' : sold_out ? 'Sold out' : 'All held');
  }

  return {
    element,
    notice,
    show(next) {
      const fell = state !== undefined && next.item.available < state.item.available;
      state = next;
      const { item, total } = next;
      setText(name, item.name);
      setText(left, String(item.available));
      setText(left_word, 'left');
      setText(price, formatMoney(item.unit_price, currency));
      barcode.show(item.available, total);
      element.classList.toggle('none-left', item.available === 0);
      if (fell) flash(left);
      showLabel();
    },
    setBusy(next) {
      busy = next;
      element.setAttribute('aria-busy', String(busy === 'asking'));
      showLabel();
    },
    qty: stepper.value,
  };
}

/** Starts the CSS animation again, also when it has not ended. */
function flash(element: HTMLElement): void {
  element.classList.remove('fell');
  void element.offsetWidth;
  element.classList.add('fell');
}
