/**
 * The sandbox's payments in memory, rebuilt from the journal at start. Bounded: the oldest payments that are over,
 * and the oldest keys, are let go; such a payment is found in the journal again when somebody asks for it.
 */
import { createNameFilter } from './bloom.ts';
import type { Answer, EventHead, Journal, JournalLine } from './journal.ts';
import { readJournal } from './journal.ts';
import type { SandboxPayment } from './payment.ts';

const PAYMENTS_MAX = 100_000;
const KEYS_MAX = 200_000;
/** Providers forget idempotency keys after a day. */
const KEYS_KEPT_MS = 24 * 3_600_000;

/** Without a payment: a 500 that is this key's answer for ever. */
export type KnownAnswer = { fingerprint: string; payment?: SandboxPayment; at_ms: number };

export type Store = {
  replay(line: JournalLine): void;
  byId(id: string): Promise<SandboxPayment | undefined>;
  /** Oldest first. More than one only if a key was forgotten and its payment made again. */
  byReference(reference: string): Promise<SandboxPayment[]>;
  answer(key: string, now_ms: number): KnownAnswer | undefined;
  /** Writes a payment's new state into the journal and takes it over. */
  put(
    journal: Journal,
    line: { at_ms: number; payment: SandboxPayment; answer?: Answer; event?: EventHead },
  ): void;
  /** A 500 is this key's answer from now on. */
  stick(journal: Journal, answer: { key: string; fingerprint: string; at_ms: number }): void;
  /** True once a reference: a token that errs once has erred for it now. */
  errs(journal: Journal, reference: string): boolean;
  forgetKeys(journal: Journal): void;
  /** Payments that go on by themselves some time. */
  pending(): SandboxPayment[];
  newest(limit: number, test?: (payment: SandboxPayment) => boolean): SandboxPayment[];
};

export function createStore(
  journal_path: string,
  limits = { payments: PAYMENTS_MAX, keys: KEYS_MAX },
): Store {
  const payments = new Map<string, SandboxPayment>();
  const ids = new Map<string, string[]>();
  const answers = new Map<string, KnownAnswer>();
  const erred = new Set<string>();
  const waiting = new Map<string, SandboxPayment>();
  const gone = createNameFilter();
  /** Payments in memory before the next round of letting go. */
  let roomFor = limits.payments;

  function take(payment: SandboxPayment): void {
    const known = payments.has(payment.id);
    payments.set(payment.id, payment);
    if (payment.status === 'pending') waiting.set(payment.id, payment);
    else waiting.delete(payment.id);
    if (known) return;
    const same = ids.get(payment.reference);
    if (!same) ids.set(payment.reference, [payment.id]);
    else if (!same.includes(payment.id)) same.push(payment.id);
    if (payments.size > roomFor) letOldestGo();
  }

  /** Payments that are not over stay, so this may find little; the next round waits until it can be worth its time. */
  function letOldestGo(): void {
    let looks = payments.size;
    for (const payment of payments.values()) {
      if (payments.size <= limits.payments || looks-- === 0) break;
      payments.delete(payment.id);
      if (isOpen(payment)) {
        payments.set(payment.id, payment);
        continue;
      }
      ids.delete(payment.reference);
      erred.delete(payment.reference);
      gone.add(payment.id);
      gone.add(payment.reference);
    }
    roomFor = Math.ceil(payments.size * 1.1);
  }

  function remember(key: string, answer: KnownAnswer): void {
    answers.set(key, answer);
    if (answers.size <= limits.keys) return;
    for (const oldest of answers.keys()) {
      answers.delete(oldest);
      return;
    }
  }

  function replay(line: JournalLine): void {
    if (line.kind === 'payment') {
      const { payment, answer, at_ms } = line;
      take(payment);
      if (answer) remember(copied(answer.key), { fingerprint: copied(answer.fingerprint), payment, at_ms });
    } else if (line.kind === 'stuck') {
      remember(line.key, { fingerprint: line.fingerprint, at_ms: line.at_ms });
    } else if (line.kind === 'erred') erred.add(line.reference);
    else if (line.kind === 'keys_forgotten') answers.clear();
  }

  /** Reads back what memory has let go. */
  async function recall(field: 'id' | 'reference', name: string): Promise<SandboxPayment[]> {
    if (!gone.mayHave(name)) return [];
    const found = new Map<string, SandboxPayment>();
    await readJournal(journal_path, (line) => {
      if (line.kind === 'payment' && line.payment[field] === name) found.set(line.payment.id, line.payment);
    });
    for (const payment of found.values()) take(payment);
    return [...found.values()];
  }

  return {
    replay,
    async byId(id) {
      return payments.get(id) ?? (await recall('id', id))[0];
    },
    async byReference(reference) {
      const known = ids.get(reference);
      if (known) return known.map((id) => payments.get(id)).filter((payment) => payment !== undefined);
      return recall('reference', reference);
    },
    answer(key, now_ms) {
      const known = answers.get(key);
      return known && now_ms - known.at_ms < KEYS_KEPT_MS ? known : undefined;
    },
    put(journal, line) {
      journal.append({ kind: 'payment', ...line });
      replay({ kind: 'payment', ...line });
    },
    stick(journal, answer) {
      journal.append({ kind: 'stuck', ...answer });
      replay({ kind: 'stuck', ...answer });
    },
    errs(journal, reference) {
      if (erred.has(reference)) return false;
      erred.add(reference);
      journal.append({ kind: 'erred', reference });
      return true;
    },
    forgetKeys(journal) {
      answers.clear();
      journal.append({ kind: 'keys_forgotten' });
    },
    pending: () => [...waiting.values()],
    newest: (limit, test = () => true) => [...payments.values()].filter(test).slice(-limit).reverse(),
  };
}

function isOpen({ status }: SandboxPayment): boolean {
  return status === 'created' || status === 'pending' || status === 'authorized';
}

/** Cut out of a request's text, a string would keep the whole of it in memory. */
function copied(text: string): string {
  return Buffer.from(text).toString();
}
