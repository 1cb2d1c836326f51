/** How to pay, where to write and where to ship. The form is in index.html; what is typed is kept in this browser. */
import type { CheckoutBody, PaymentMethod, ShippingAddress } from '../api-types.ts';
import { choiceOf, methodOf } from '../payment-choices.ts';
import { byId, setText } from './dom.ts';
import { paymentOptions } from './payment-select.ts';

export type Filled = Pick<CheckoutBody, 'payment_method' | 'shipping_address' | 'contact'>;

export type PayForm = {
  /** What goes into a checkout, or undefined after showing the field that is missing. */
  read(payment_method?: PaymentMethod): Filled | undefined;
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
const CONTACT_STORED_AS = 'stampede.contact';

/** `account_email`: where a buyer who types nothing is written to. */
export function createPayForm(store: Storage, account_email: string | undefined): PayForm {
  const form = byId<HTMLFormElement>('pay');
  const token = byId<HTMLSelectElement>('pay-token');
  const contact = [byId<HTMLInputElement>('pay-email'), byId<HTMLInputElement>('pay-phone')];
  const address = byId<HTMLDetailsElement>('address');
  const fields = [...address.querySelectorAll<HTMLInputElement>('input[name]')];
  token.append(...paymentOptions());

  write(fields, JSON.parse(store.getItem(STORED_AS) ?? '{}'));
  write(contact, JSON.parse(store.getItem(CONTACT_STORED_AS) ?? '{}'));
  form.onsubmit = (event) => event.preventDefault();
  form.onchange = () => {
    store.setItem(STORED_AS, JSON.stringify(valuesOf(fields)));
    store.setItem(CONTACT_STORED_AS, JSON.stringify(valuesOf(contact)));
    showSummary();
  };
  // A field that a browser wants to point out must be in sight.
  form.addEventListener(
    'invalid',
    ({ target }) => {
      const around = (target as HTMLElement).closest('details');
      if (around) around.open = true;
    },
    true,
  );

  function showSummary(): void {
    const { name, city } = valuesOf(fields);
    setText(byId('address-summary'), name && city ? `${name}, ${city}` : 'Needed before you buy');
    const told = Object.values(valuesOf(contact)).join(', ');
    setText(byId('contact-summary'), told || account_email || 'nobody yet (optional)');
    setText(byId('pay-hint'), choiceOf(token.value)?.hint ?? '');
  }
  showSummary();

  return {
    read(payment_method = methodOf(token.value)) {
      if (!form.reportValidity()) return undefined;
      const told = valuesOf(contact);
      return {
        payment_method,
        shipping_address: valuesOf(fields) as ShippingAddress,
        ...(Object.keys(told).length > 0 && { contact: told }),
      };
    },
    fill(given) {
      if (fields.every((field) => field.value === '')) write(fields, given);
      showSummary();
    },
    focus() {
      address.open = true;
      fields[0]?.focus();
    },
  };
}

/** What is filled in, trimmed. */
function valuesOf(fields: readonly HTMLInputElement[]): Record<string, string> {
  return Object.fromEntries(
    fields.map((field) => [field.name, field.value.trim()]).filter(([, value]) => value),
  );
}

function write(fields: readonly HTMLInputElement[], values: Partial<Record<string, string>>): void {
  for (const field of fields) field.value = values[field.name] ?? field.value;
}
