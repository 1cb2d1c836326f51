/** What the buyer can do about an order: a page or an app to open, or the same items bought again, paid in another way. */
import type { Order, PaymentMethod } from '../api-types.ts';
import { formatMoney } from '../money.ts';
import type { Move } from '../order-outlook.ts';
import { methodOf } from '../payment-choices.ts';
import { h, setText } from './dom.ts';
import { paymentOptions } from './payment-select.ts';
import { createQrCode } from './qr-code.ts';

export type NextMove = {
  element: HTMLElement;
  /** Rebuilt only when it is another move: what is in focus or open stays so. */
  show(move: Move | undefined, order: Order): void;
  /** Buying again is offered at one order at a time. */
  setAgainOffered(offered: boolean): void;
  setAsking(asking: boolean): void;
  /** As if Buy again were pressed. */
  press(): void;
};

export function createNextMove(onBuyAgain: (payment_method: PaymentMethod) => void): NextMove {
  const element = h('div', { className: 'move', hidden: true });
  let shown = '';
  let again_offered = true;
  let present: { move: Move; order: Order } | undefined;
  let again: HTMLButtonElement | undefined;
  let choose: HTMLSelectElement | undefined;
  let label = '';

  function press(): void {
    if (choose && again?.getAttribute('aria-disabled') !== 'true') onBuyAgain(methodOf(choose.value));
  }

  function draw(): void {
    const wanted = present && (present.move.kind !== 'buy_again' || again_offered) ? present : undefined;
    const key = wanted ? JSON.stringify(wanted.move) : '';
    if (key === shown) return;
    shown = key;
    element.hidden = !wanted;
    [again, choose] = [undefined, undefined];
    element.replaceChildren(...(wanted ? partsOf(wanted.move, wanted.order) : []));
  }

  function partsOf(move: Move, { order_id, amounts }: Order): Node[] {
    if (move.kind === 'open') {
      const link = h('a', { className: 'act', href: move.url, rel: 'noreferrer' }, move.label);
      return move.scan ? [link, createQrCode(move.url)] : [link];
    }
    choose = h('select', { id: `again-${order_id}` });
    choose.append(...paymentOptions());
    label = `${move.label} for ${formatMoney(amounts.total, amounts.currency)}`;
    again = h('button', { type: 'button', className: 'act', onclick: press }, label);
    const name = h('label', { htmlFor: choose.id }, 'Pay with (test provider)');
    return [h('p', { className: 'field' }, name, choose), again];
  }

  return {
    element,
    show(move, order) {
      present = move && { move, order };
      draw();
    },
    setAgainOffered(offered) {
      again_offered = offered;
      draw();
    },
    setAsking(asking) {
      if (!again) return;
      again.setAttribute('aria-disabled', String(asking));
      setText(again, asking ? 'Asking…' : label);
    },
    press,
  };
}
