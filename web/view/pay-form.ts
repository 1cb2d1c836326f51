/** How to pay and where to ship. The form is in index.html; the address is kept in this browser. */
import type { CheckoutBody, ShippingAddress } from '../api-types.ts';
import { byId } from './dom.ts';

export type PayForm = {
  /** What goes into a checkout, or undefined after showing the field that is missing. */
  read(): Pick<CheckoutBody, 'payment_method' | 'shipping_address'> | undefined;
  /** Fills an empty form, so that a demo buys at the first press. */
  fill(address: ShippingAddress): void;
  focus(): void;
};

export const DEMO_ADDRESS: ShippingAddress = {
  name: 'Ada Lovelace',
  line1: '12 St James Square',
  city: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
};

const STORED_AS = 'stampede.address';

export function createPayForm(store: Storage): PayForm {
  const form = byId<HTMLFormElement>('pay');
  const token = byId<HTMLSelectElement>('pay-token');
  const address = byId<HTMLDetailsElement>('address');
  const fields = [...form.querySelectorAll<HTMLInputElement>('input[name]')];

  const write = (values: Partial<Record<string, string>>) => {
    for (const field of fields) field.value = values[field.name] ?? field.value;
  };
  const values = () =>
    Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]).filter(([, value]) => value));

  write(JSON.parse(store.getItem(STORED_AS) ?? '{}'));
  form.onsubmit = (event) => event.preventDefault();
  form.onchange = () => {
    store.setItem(STORED_AS, JSON.stringify(values()));
    showSummary();
  };
  // A field that a browser wants to point out must be in sight.
  form.addEventListener('invalid', () => (address.open = true), true);

  function showSummary(): void {
    const { name, city } = values();
    byId('address-summary').textContent = name && city ? `${name}, ${city}` : 'Needed before you buy';
  }
  showSummary();

  return {
    read() {
      if (!form.reportValidity()) return undefined;
      return {
        payment_method: { type: 'card', token: token.value },
        shipping_address: values() as ShippingAddress,
      };
    },
    fill(given) {
      if (fields.every((field) => field.value === '')) write(given);
      showSummary();
    },
    focus() {
      address.open = true;
      fields[0]?.focus();
    },
  };
}
