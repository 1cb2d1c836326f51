/**
 * What the sandbox does with a request, HTTP apart: idempotency keys, tokens, faults, journal, events. The state
 * changes in memory first and is answered only once the journal has it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFaults, type Fault, type Faults } from './faults.ts';
import { type Journal, journalPath, openJournal } from './journal.ts';
import {
  capture,
  refund,
  type SandboxPayment,
  type StepResult,
  succeedLate,
  voidPayment,
} from './payment.ts';
import { createStore, type Store } from './store.ts';
import { behaviorOf, type TokenBehavior } from './tokens.ts';
import { closure, eventOf, isClosure, told } from './views.ts';
import { createWebhooks, type SandboxEvent, type Webhooks } from './webhooks.ts';

/** `never`: the answer does not come. */
export type Reply = { http_status: number; body: object } | 'never';

export type AuthorizeBody = {
  reference: string;
  order_id: string;
  amount: number;
  currency: string;
  token: string;
  /** ISO 8601; a late payment succeeds after it. */
  expires_at?: string;
};

export type StepName = 'capture' | 'void' | 'refund';

export type Settings = {
  /** Which changes send a webhook: those that no answer told of, or all. */
  events: 'untold' | 'all';
  /** How long after `expires_at` a late payment succeeds, ms. */
  late_ms: number;
  /** How long a slow payment takes, ms. */
  slow_ms: number;
};

export type SandboxOptions = {
  dir: string;
  secret: string;
  webhook_url: string | undefined;
  settings?: Partial<Settings>;
};

export type Sandbox = {
  authorize(key: string, fingerprint: string, body: AuthorizeBody): Promise<Reply>;
  step(step: StepName, key: string, fingerprint: string, id: string, amount: number): Promise<Reply>;
  /** Voids what a reference holds; one that is not known is closed for ever. */
  closeReference(key: string, fingerprint: string, reference: string): Promise<Reply>;
  lookUp(reference: string): Promise<Reply>;
  /** Late payments succeed now: one by its reference, or all. Returns how many. */
  release(reference?: string): Promise<number>;
  forgetKeys(): Promise<void>;
  newest(limit: number): SandboxPayment[];
  faults: Faults;
  settings: Settings;
  journal_path: string;
  webhooks: Webhooks;
  close(): Promise<void>;
};

const DEFAULTS: Settings = { events: 'untold', late_ms: 2_000, slow_ms: 3_000 };
/** Without a deadline told, a late payment succeeds after this. */
const LATE_WITHOUT_DEADLINE_MS = 60_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const journal_path = journalPath(options.dir);
  const store = createStore(journal_path);
  const undelivered = new Map<string, SandboxEvent>();
  const journal = await openJournal(options.dir, (line) => {
    store.replay(line);
    if (line.kind === 'payment' && line.event) {
      undelivered.set(line.event.id, eventOf(line.event, line.payment, line.at_ms));
    }
    if (line.kind === 'event_over') undelivered.delete(line.event_id);
  });
  const webhooks = createWebhooks({
    url: options.webhook_url,
    secret: options.secret,
    on_over: (event_id) => journal.append({ kind: 'event_over', event_id }),
  });
  const sandbox = serve(store, journal, webhooks, journal_path, { ...DEFAULTS, ...options.settings });
  for (const event of undelivered.values()) webhooks.send(event);
  return sandbox;
}

function serve(
  store: Store,
  journal: Journal,
  webhooks: Webhooks,
  journal_path: string,
  settings: Settings,
): Sandbox {
  const faults = createFaults();
  const busy = new Set<string>();
  const timers = new Map<string, NodeJS.Timeout>();

  /** Takes over a payment's new state. `told`: the answer to the request tells of it. */
  function put(
    payment: SandboxPayment,
    answer: { key: string; fingerprint: string; http_status: number } | undefined,
    told: boolean,
  ): void {
    const at_ms = Date.now();
    const event =
      told && settings.events === 'untold'
        ? undefined
        : { id: `evt_${randomUUID()}`, type: `payment.${payment.status}` };
    store.put(journal, { at_ms, payment, ...(answer ? { answer } : {}), ...(event ? { event } : {}) });
    if (payment.late_at_ms !== null) succeedAt(payment.id, payment.late_at_ms);
    if (event) void tell(eventOf(event, payment, at_ms));
  }

  /** Nobody hears of what the journal does not have. */
  async function tell(event: SandboxEvent): Promise<void> {
    await journal.written();
    const struck = faults.strike('webhook');
    if (struck.some((fault) => fault.kind === 'lose')) {
      journal.append({ kind: 'event_over', event_id: event.id });
      return;
    }
    await delays(struck);
    webhooks.send(event, struck.some((fault) => fault.kind === 'double') ? 2 : 1);
  }

  function succeedAt(id: string, at_ms: number): void {
    const wait_ms = Math.min(Math.max(at_ms - Date.now(), 0), TIMER_MS_MAX);
    clearTimeout(timers.get(id));
    timers.set(
      id,
      setTimeout(() => void store.byId(id).then((payment) => payment && succeed(payment)), wait_ms),
    );
  }

  function succeed(payment: SandboxPayment): void {
    clearTimeout(timers.get(payment.id));
    timers.delete(payment.id);
    if (payment.status === 'pending') put(succeedLate(payment), undefined, false);
  }

  /**
   * Answers a key's first request again, refuses one that is under way, and lets faults strike around `work`.
   * `work` returns undefined for a 500 of its own.
   */
  async function once(
    step: 'authorize' | StepName,
    key: string,
    fingerprint: string,
    work: (told: boolean, declined: boolean) => Promise<{ reply: Reply } | undefined>,
  ): Promise<Reply> {
    const struck = faults.strike(step);
    const has = (kind: Fault['kind']) => struck.some((fault) => fault.kind === kind);
    if (has('unavailable')) return failure(503, 'unavailable');
    const known = store.answer(key, Date.now());
    if (known && known.fingerprint !== fingerprint) return failure(422, 'key_reused');
    if (known) return { http_status: known.http_status, body: told(known.payment) };
    if (busy.has(key)) return failure(409, 'in_progress');
    if (has('error_before')) return failure(500, 'error');
    busy.add(key);
    try {
      await delays(struck);
      const silent = has('no_answer') || has('error_after');
      const done = await work(!silent, has('decline'));
      await journal.written();
      if (!done) return failure(500, 'error');
      if (has('error_after')) return failure(500, 'error');
      return has('no_answer') ? 'never' : done.reply;
    } finally {
      busy.delete(key);
    }
  }

  async function authorizeOnce(
    key: string,
    fingerprint: string,
    body: AuthorizeBody,
    behavior: TokenBehavior,
    answered: boolean,
  ): Promise<{ reply: Reply } | undefined> {
    if (behavior.errs_once && store.errs(journal, body.reference)) return undefined;
    if (behavior.slow) await sleep(settings.slow_ms);
    const closed = (await store.byReference(body.reference)).some(isClosure);
    const outcome = closed ? 'declined' : behavior.outcome;
    const deadline_ms = body.expires_at === undefined ? Number.NaN : Date.parse(body.expires_at);
    const payment: SandboxPayment = {
      id: `pay_${randomUUID()}`,
      reference: body.reference,
      order_id: body.order_id,
      status: outcome,
      amount: body.amount,
      captured: 0,
      refunded: 0,
      currency: body.currency,
      decline_code: closed ? 'reference_closed' : (behavior.decline_code ?? null),
      created_at_ms: Date.now(),
      late_at_ms:
        outcome !== 'pending'
          ? null
          : Number.isNaN(deadline_ms)
            ? Date.now() + LATE_WITHOUT_DEADLINE_MS
            : deadline_ms + settings.late_ms,
    };
    const http_status = outcome === 'declined' ? 402 : 200;
    put(payment, { key, fingerprint, http_status }, answered && !behavior.never_answers);
    return { reply: behavior.never_answers ? 'never' : { http_status, body: told(payment) } };
  }

  function settle(result: StepResult, key: string, fingerprint: string, answered: boolean): Reply {
    if (result.kind === 'refused') {
      return { http_status: 409, body: { error: { code: result.code }, ...told(result.payment) } };
    }
    if (result.changed) put(result.payment, { key, fingerprint, http_status: 200 }, answered);
    return { http_status: 200, body: told(result.payment) };
  }

  for (const payment of store.pending()) succeedAt(payment.id, payment.late_at_ms ?? Date.now());

  return {
    authorize(key, fingerprint, body) {
      const behavior = behaviorOf(body.token);
      // A repeated request is not answered either: only a look or a webhook tells.
      if (behavior.never_answers && store.answer(key, Date.now())) return Promise.resolve('never');
      return once('authorize', key, fingerprint, (answered, declined) =>
        authorizeOnce(
          key,
          fingerprint,
          body,
          declined ? { outcome: 'declined', decline_code: 'do_not_honor' } : behavior,
          answered,
        ),
      );
    },
    step(step, key, fingerprint, id, amount) {
      return once(step, key, fingerprint, async (answered) => {
        const payment = await store.byId(id);
        if (!payment) return { reply: failure(404, 'not_found') };
        const result =
          step === 'capture'
            ? capture(payment, amount)
            : step === 'refund'
              ? refund(payment, amount)
              : voidPayment(payment);
        return { reply: settle(result, key, fingerprint, answered) };
      });
    },
    closeReference(key, fingerprint, reference) {
      return once('void', key, fingerprint, async (answered) => {
        const payments = await store.byReference(reference);
        const payment =
          payments.find((known) => known.status !== 'voided' && known.status !== 'declined') ?? payments[0];
        if (payment) return { reply: settle(voidPayment(payment), key, fingerprint, answered) };
        return {
          reply: settle(
            { kind: 'done', payment: closure(reference), changed: true },
            key,
            fingerprint,
            answered,
          ),
        };
      });
    },
    async lookUp(reference) {
      const struck = faults.strike('look_up');
      if (struck.some((fault) => fault.kind === 'unavailable')) return failure(503, 'unavailable');
      if (struck.some((fault) => fault.kind === 'no_answer')) return 'never';
      if (struck.some((fault) => fault.kind.startsWith('error'))) return failure(500, 'error');
      await delays(struck);
      const payments = (await store.byReference(reference)).filter((payment) => !isClosure(payment));
      await journal.written();
      return { http_status: 200, body: { payments: payments.map((payment) => told(payment).payment) } };
    },
    async release(reference) {
      const released = store.pending().filter((payment) => !reference || payment.reference === reference);
      for (const payment of released) succeed(payment);
      await journal.written();
      return released.length;
    },
    async forgetKeys() {
      store.forgetKeys(journal);
      await journal.written();
    },
    newest: store.newest,
    faults,
    settings,
    journal_path,
    webhooks,
    async close() {
      for (const timer of timers.values()) clearTimeout(timer);
      webhooks.close();
      await journal.close();
    },
  };
}

async function delays(struck: readonly Fault[]): Promise<void> {
  const delay_ms = Math.max(
    0,
    ...struck.map((fault) => (fault.kind === 'delay' ? (fault.delay_ms ?? 1_000) : 0)),
  );
  if (delay_ms > 0) await sleep(delay_ms);
}

function failure(http_status: number, code: string): Reply {
  return { http_status, body: { error: { code } } };
}
