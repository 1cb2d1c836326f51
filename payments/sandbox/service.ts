/** The sandbox, put together: payments read back from the journal, the wires they are reached by, faults, webhooks. */

import { sandboxKeys } from '../../platform/sandbox-keys.ts';
import { type Bank, createBank } from './bank.ts';
import { createFaults, type Faults } from './faults.ts';
import { journalPath, openJournal } from './journal.ts';
import type { SandboxPayment } from './payment.ts';
import { DEFAULT_SETTINGS, type Settings } from './settings.ts';
import { createStore } from './store.ts';
import { createTeller } from './tell.ts';
import { createVerbs } from './verbs.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';
import { WIRES } from './wires/all.ts';
import { nativeWire } from './wires/native.ts';
import { OWN, type Wire, type WireEvent, type WireMaker } from './wires/wire.ts';

export type SandboxOptions = {
  dir: string;
  /** All wires' keys follow from it. */
  secret: string;
  /** Where its own events go; those of a wire go beside it, see `webhookUrl`. */
  webhook_url: string | undefined;
  /** Where buyers' browsers reach it, without a slash at the end. */
  public_url: string;
  settings?: Partial<Settings>;
};

export type Sandbox = {
  /** By name; its own is `sandbox`. */
  wires: ReadonlyMap<string, Wire>;
  bank: Bank;
  payment(id: string): Promise<SandboxPayment | undefined>;
  byReference(reference: string): Promise<SandboxPayment[]>;
  newest(limit: number): SandboxPayment[];
  forgetKeys(): Promise<void>;
  /** Resolves when everything done so far is in the journal. */
  written(): Promise<void>;
  faults: Faults;
  settings: Settings;
  journal_path: string;
  webhooks: Webhooks;
  close(): Promise<void>;
};

export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const journal_path = journalPath(options.dir);
  const store = createStore(journal_path);
  const undelivered = new Map<string, WireEvent>();
  const journal = await openJournal(options.dir, (line) => {
    store.replay(line);
    if (line.kind === 'payment' && line.event) {
      undelivered.set(line.event.id, { ...line.event, at_ms: line.at_ms, payment: line.payment });
    }
    if (line.kind === 'event_over') undelivered.delete(line.event_id);
  });
  const faults = createFaults();
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const wires = new Map<string, Wire>();
  const webhooks = createWebhooks({
    urlOf: (provider) => options.webhook_url && webhookUrl(options.webhook_url, provider),
    encode: (event, now_ms) => wires.get(event.payment.provider ?? OWN)?.webhook(event, now_ms),
    on_over: (event_id) => journal.append({ kind: 'event_over', event_id }),
  });
  const teller = createTeller({ journal, faults, settings, webhooks });
  const bank = createBank(store, journal, settings, teller.tell);
  const shared = { store, journal, bank, faults, settings, busy: new Set<string>() };
  const pageOf = (id: string) => `${options.public_url}/pay/${id}`;
  const keys = sandboxKeys(options.secret);
  const mount = (name: string, make: WireMaker, url: string) => {
    wires.set(name, make({ verbs: createVerbs({ ...shared, provider: name, pageOf }), keys, url }));
  };
  mount(OWN, nativeWire, options.public_url);
  for (const [name, make] of Object.entries(WIRES)) mount(name, make, `${options.public_url}/${name}`);
  for (const event of undelivered.values()) webhooks.send(event);

  return {
    wires,
    bank,
    payment: async (id) => store.byId(id),
    byReference: async (reference) => store.byReference(reference),
    newest: store.newest,
    async forgetKeys() {
      store.forgetKeys(journal);
      await journal.written();
    },
    written: journal.written,
    ...{ faults, settings, journal_path, webhooks },
    async close() {
      bank.close();
      teller.close();
      webhooks.close();
      await journal.close();
    },
  };
}

/** `http://engine:3000/v1/webhooks/sandbox` is the sandbox's own, and `.../v1/webhooks/stripe` Stripe's. */
export function webhookUrl(own: string, provider: string): string {
  if (provider === OWN) return own;
  return `${own.replace(/\/(sandbox)?$/, '')}/${provider}`;
}
