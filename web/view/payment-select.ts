/** The ways to pay as options of a select. */
import { PAYMENT_CHOICES } from '../payment-choices.ts';
import { h } from './dom.ts';

export function paymentOptions(): HTMLOptGroupElement[] {
  return PAYMENT_CHOICES.map(({ group, choices }) =>
    h(
      'optgroup',
      { label: group },
      ...choices.map(({ token, label }) => h('option', { value: token }, label)),
    ),
  );
}
