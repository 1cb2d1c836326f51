/**
 * The sandbox's payments in motion: each change goes into the journal, those that go on by themselves do so in time, and
 * whoever is to hear of a change does. No HTTP, no keys, no wire formats in here.
 */
import { randomUUID } from 'node:crypto';
import type { Answer, Journal } from './journal.ts';
import { approve, decline, type SandboxPayment, succeed } from './payment.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store.ts';
import type { WireEvent } from './wires/wire.ts';

export type Bank = {
  /**
   * Takes over a payment's new state. `told`: the answer to the request tells of it, so that no event has to. Stored
   * once `journal.written()` resolves.
   */
  put(payment: SandboxPayment, told: boolean, answer?: Answer): void;
  /** What its buyer decides on the hosted page; nothing if it does not wait for that. */
  decide(payment: SandboxPayment, approved: boolean): void;
  /** Late payments succeed now: one by its reference, or all. Returns how many. */
  release(reference?: string): number;
  /** The provider itself lets an authorization go that was not captured, as after its days are over. */
  lapse(payment: SandboxPayment): boolean;
  close(): void;
};

const TIMER_MS_MAX = 2 ** 31 - 1;

export function createBank(
  store: Store,
  journal: Journal,
  settings: Settings,
  tell: (event: WireEvent) => void,
): Bank {
  const timers = new Map<string, NodeJS.Timeout>();

  function put(payment: SandboxPayment, told: boolean, answer?: Answer): void {
    const at_ms = Date.now();
    const silent = told && settings.events === 'untold';
    const event = silent ? undefined : { id: `evt_${randomUUID()}`, type: eventType(payment) };
    store.put(journal, { at_ms, payment, ...(answer ? { answer } : {}), ...(event ? { event } : {}) });
    if (payment.late_at_ms !== null) goOnAt(payment.id, payment.late_at_ms);
    else if (timers.size > 0) forget(payment.id);
    if (event) tell({ ...event, at_ms, payment });
  }

  function goOnAt(id: string, at_ms: number): void {
    const wait_ms = Math.min(Math.max(at_ms - Date.now(), 0), TIMER_MS_MAX);
    clearTimeout(timers.get(id));
    timers.set(
      id,
      setTimeout(() => {
        // A timer may be a millisecond early by this clock, and a long wait goes in pieces.
        if (Date.now() < at_ms) goOnAt(id, at_ms);
        else void Promise.resolve(store.byId(id)).then((payment) => payment && goOn(payment));
      }, wait_ms),
    );
  }

  function forget(id: string): void {
    clearTimeout(timers.get(id));
    timers.delete(id);
  }

  /** Its time has come: the buyer never opened the page, the UPI app approved, the transfer arrived. */
  function goOn(payment: SandboxPayment): void {
    forget(payment.id);
    if (payment.status !== 'pending') return;
    const { challenge, deadline_ms } = payment;
    const over = deadline_ms !== undefined && deadline_ms <= Date.now();
    if (!challenge) put(succeed(payment), false);
    else put(over || challenge.type === 'redirect' ? decline(payment, 'expired') : approve(payment), false);
  }

  for (const payment of store.pending()) goOnAt(payment.id, payment.late_at_ms ?? Date.now());

  return {
    put,
    decide(payment, approved) {
      if (payment.status !== 'pending' || !payment.challenge) return;
      put(approved ? approve(payment) : decline(payment, 'authentication_failed'), false);
    },
    release(reference) {
      const late = store
        .pending()
        .filter((payment) => !payment.challenge && (!reference || payment.reference === reference));
      for (const payment of late) goOn(payment);
      return late.length;
    },
    lapse(payment) {
      if (payment.status !== 'authorized') return false;
      put({ ...payment, status: 'voided' }, false);
      return true;
    },
    close() {
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

function eventType({ status, refunded }: SandboxPayment): string {
  return status === 'captured' && refunded > 0 ? 'payment.partially_refunded' : `payment.${status}`;
}
