/** A quantity: minus, a number field, plus. */
import { h } from './dom.ts';

export type Stepper = {
  element: HTMLElement;
  value(): number;
  setDisabled(disabled: boolean): void;
};

export function createStepper(sku: string, max: number, onChange: () => void): Stepper {
  const input = h('input', {
    type: 'number',
    id: `qty-${sku}`,
    className: 'qty',
    min: '1',
    max: String(max),
    value: '1',
    inputMode: 'numeric',
  });
  const step = (by: number, text: string, label: string) =>
    h('button', {
      type: 'button',
      className: 'step',
      textContent: text,
      onclick: () => set(read() + by),
      attrs: { 'aria-label': label },
    });
  const less = step(-1, '\u2212', 'One less');
  const more = step(1, '+', 'One more');

  function read(): number {
    const value = Math.trunc(Number(input.value));
    return Number.isFinite(value) ? Math.min(max, Math.max(1, value)) : 1;
  }

  function set(value: number): void {
    input.value = String(Math.min(max, Math.max(1, value)));
    onChange();
  }

  input.oninput = onChange;
  input.onchange = () => set(read());
  const label = h('label', { className: 'unseen', htmlFor: input.id }, 'Quantity');
  return {
    element: h('div', { className: 'stepper' }, label, less, input, more),
    value: read,
    setDisabled(disabled) {
      for (const control of [less, more, input]) control.disabled = disabled;
    },
  };
}
