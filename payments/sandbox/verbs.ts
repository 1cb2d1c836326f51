/**
 * The verbs of wires/wire.ts for one wire: idempotency keys, tokens and faults around what payment.ts does. The state
 * changes in memory first and is told only once the journal has it.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatMinor, isCurrency } from '../../domain/money.ts';
import type { Bank } from './bank.ts';
import { closure, isClosure } from './closure.ts';
import type { Fault, FaultKind, Faults } from './faults.ts';
import type { Answer, Journal } from './journal.ts';
import {
  capture,
  decline,
  refund,
  type SandboxPayment,
  type StepResult,
  succeed,
  voidPayment,
} from './payment.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store.ts';
import { behaviorOf, type TokenBehavior } from './tokens.ts';
import {
  type Call,
  type Confirmation,
  type Found,
  type NewPayment,
  OWN,
  type Result,
  type Verbs,
} from './wires/wire.ts';

export type VerbsParts = {
  /** Name of the wire; its payments and keys are apart from those of others. */
  provider: string;
  store: Store;
  journal: Journal;
  bank: Bank;
  faults: Faults;
  settings: Settings;
  /** Keys of requests under way, of all wires. */
  busy: Set<string>;
  /** Of a payment's hosted page. */
  pageOf: (id: string) => string;
};

type Step = 'create' | 'authorize' | 'capture' | 'void' | 'refund';

/** One request at work. */
type Turn = {
  /** Its answer will tell of what it does. */
  told: boolean;
  /** What to keep under its key. */
  answer: Answer | undefined;
  behavior: TokenBehavior;
};
type Work = (turn: Turn) => Result | Promise<Result>;

/** Without a deadline told, a late payment succeeds after this. */
const LATE_WITHOUT_DEADLINE_MS = 60_000;
const DELAY_MS = 1_000;

const FAILED = (failure: Extract<Result, { kind: 'failed' }>['failure']) =>
  ({ kind: 'failed', failure }) as const;
const NEVER = { kind: 'never' } as const;
const NO_TOKEN: TokenBehavior = { outcome: 'authorized' };
const DO_NOT_HONOR: TokenBehavior = { outcome: 'declined', decline_code: 'do_not_honor' };

export function createVerbs(parts: VerbsParts): Verbs {
  const { provider, store, journal, bank, faults, settings, busy } = parts;
  const own = provider === OWN;
  const mine = (payment: SandboxPayment | undefined): payment is SandboxPayment =>
    payment !== undefined && (payment.provider ?? OWN) === provider;

  /** Answers a key's first request again, refuses one that is under way, and lets faults strike around `work`. */
  async function once(step: Step, call: Call, work: Work, token?: TokenBehavior): Promise<Result> {
    const struck = faults.strike(step, provider);
    if (has(struck, 'unavailable')) return FAILED('unavailable');
    const { fingerprint } = call;
    const key = call.key === null || own ? call.key : `${provider}:${call.key}`;
    if (key !== null) {
      const known = store.answer(key, Date.now());
      if (known && known.fingerprint !== fingerprint) return FAILED('key_reused');
      // A repeated request is not answered either: only a look or a webhook tells.
      if (known && token?.never_answers) return NEVER;
      if (known) return known.payment ? shown(known.payment, step) : FAILED('error');
      if (busy.has(key)) return FAILED('in_progress');
    }
    if (has(struck, 'error_before')) return FAILED('error');
    const behavior = step === 'authorize' && has(struck, 'decline') ? DO_NOT_HONOR : (token ?? NO_TOKEN);
    const sticky = behavior.sticky ?? stickyOf(struck);
    const silent = has(struck, 'no_answer') || behavior.never_answers === true;
    const erring = sticky !== undefined || has(struck, 'error_after');
    if (key !== null) busy.add(key);
    try {
      let result: Result = FAILED('error');
      if (sticky !== 'before') {
        if (struck.length > 0) await delays(struck, settings.time_scale);
        if (behavior.slow) await sleep(settings.slow_ms);
        const answer = key === null || sticky ? undefined : { key, fingerprint };
        result = await work({ told: !silent && !erring, answer, behavior });
      }
      if (sticky && key !== null) store.stick(journal, { key, fingerprint, at_ms: Date.now() });
      await journal.written();
      if (erring) return FAILED('error');
      return silent ? NEVER : result;
    } finally {
      if (key !== null) busy.delete(key);
    }
  }

  function settle(result: StepResult, { told, answer }: Turn, step: Step): Result {
    if (result.kind === 'refused') return result;
    if (result.changed) bank.put(result.payment, told, answer);
    return shown(result.payment, step);
  }

  /** A step of a payment that is there, and of this wire. */
  function onPayment(step: Step, call: Call, id: string, act: (payment: SandboxPayment) => StepResult) {
    return once(step, call, async (turn) => {
      const payment = await store.byId(id);
      return mine(payment) && !isClosure(payment) ? settle(act(payment), turn, step) : FAILED('absent');
    });
  }

  function made(payment: NewPayment): SandboxPayment {
    const {
      id = `pay_${randomUUID()}`,
      reference,
      order_id,
      amount,
      currency,
      expires_at_ms,
      extra,
    } = payment;
    const base: SandboxPayment = {
      id,
      reference,
      order_id,
      status: 'created',
      amount,
      captured: 0,
      refunded: 0,
      currency,
      decline_code: null,
      created_at_ms: Date.now(),
      late_at_ms: null,
    };
    if (!own) base.provider = provider;
    if (expires_at_ms !== undefined) base.deadline_ms = expires_at_ms;
    if (extra) base.extra = extra;
    return base;
  }

  /** What a token makes of a payment that is confirmed with it. */
  function confirmed(
    created: SandboxPayment,
    { method, return_url, capture: at_once }: Omit<Confirmation, 'token'>,
    behavior: TokenBehavior,
  ): SandboxPayment {
    const payment: SandboxPayment = { ...created, method };
    if (at_once) payment.capture_at_once = true;
    if (behavior.outcome === 'declined') return decline(payment, behavior.decline_code ?? 'card_declined');
    if (behavior.outcome === 'authorized') return succeed(payment);
    const { deadline_ms } = payment;
    if (!behavior.challenge) {
      const at_ms =
        deadline_ms === undefined ? Date.now() + LATE_WITHOUT_DEADLINE_MS : deadline_ms + settings.late_ms;
      return { ...payment, status: 'pending', late_at_ms: at_ms };
    }
    const { type, ends } = behavior.challenge;
    const url = type === 'upi' ? upiLink(payment) : parts.pageOf(payment.id);
    const approves_ms = type === 'upi' ? Date.now() + settings.upi_ms : Number.POSITIVE_INFINITY;
    const at_ms = Math.min(approves_ms, deadline_ms ?? Number.POSITIVE_INFINITY);
    return {
      ...payment,
      status: 'pending',
      challenge: { type, url, ends, ...(return_url ? { return_url } : {}) },
      late_at_ms: Number.isFinite(at_ms) ? at_ms : null,
    };
  }

  function authorize(payment: SandboxPayment, confirmation: Confirmation, turn: Turn): Result {
    if (turn.behavior.errs_once && store.errs(journal, payment.reference)) return FAILED('error');
    const next = confirmed(payment, confirmation, turn.behavior);
    bank.put(next, turn.told, turn.answer);
    return shown(next, 'authorize');
  }

  async function find(look: () => SandboxPayment[] | Promise<SandboxPayment[]>): Promise<Found> {
    const struck = faults.strike('look_up', provider);
    if (struck.length > 0) {
      if (has(struck, 'unavailable')) return FAILED('unavailable');
      if (has(struck, 'no_answer')) return NEVER;
      if (struck.some(({ kind }) => kind.startsWith('error') || kind.startsWith('sticky')))
        return FAILED('error');
      await delays(struck, settings.time_scale);
    }
    const payments = (await look()).filter((payment) => mine(payment) && !isClosure(payment));
    await journal.written();
    return { kind: 'found', payments };
  }

  const ofReference = async (reference: string) => (await store.byReference(reference)).filter(mine);

  return {
    create: (call, payment) =>
      once('create', call, async ({ told, answer }) => {
        const before = payment.unique_reference ? await ofReference(payment.reference) : [];
        if (before.length > 0) return { kind: 'refused', code: 'duplicate', payment: before[0] };
        const created = made(payment);
        bank.put(created, told, answer);
        return shown(created, 'create');
      }),
    confirm: (call, id, confirmation) =>
      once(
        'authorize',
        call,
        async (turn) => {
          const payment = await store.byId(id);
          if (!mine(payment)) return FAILED('absent');
          if (payment.status !== 'created') return { kind: 'refused', code: 'invalid_state', payment };
          return authorize(payment, confirmation, turn);
        },
        behaviorOf(confirmation.token),
      ),
    charge: (call, payment) =>
      once(
        'authorize',
        call,
        async (turn) => {
          const before = await ofReference(payment.reference);
          if (payment.unique_reference && before.length > 0 && !before.some(isClosure)) {
            return { kind: 'refused', code: 'duplicate', payment: before[0] };
          }
          if (!before.some(isClosure)) return authorize(made(payment), payment, turn);
          const declined = decline(made(payment), 'reference_closed');
          bank.put(declined, turn.told, turn.answer);
          return shown(declined, 'authorize');
        },
        behaviorOf(payment.token),
      ),
    capture: (call, id, amount) => onPayment('capture', call, id, (payment) => capture(payment, amount)),
    void: (call, id) => onPayment('void', call, id, voidPayment),
    refund: (call, id, part) =>
      onPayment('refund', call, id, (payment) =>
        refund(payment, { ...part, at_ms: Date.now(), key: call.key }),
      ),
    closeReference: (call, reference) =>
      once('void', call, async (turn) => {
        const payments = await ofReference(reference);
        const payment =
          payments.find(({ status }) => status !== 'voided' && status !== 'declined') ?? payments[0];
        if (payment) return settle(voidPayment(payment), turn, 'void');
        const closed = closure(reference, own ? undefined : provider);
        return settle({ kind: 'done', payment: closed, changed: true }, turn, 'void');
      }),
    async byId(id) {
      const found = await find(async () => {
        const payment = await store.byId(id);
        return payment ? [payment] : [];
      });
      return found.kind === 'found' && found.payments.length === 0 ? FAILED('absent') : found;
    },
    byReference: (reference) => find(() => store.byReference(reference)),
    list: (limit) => find(() => store.newest(limit, mine)),
    async remark(id, extra) {
      const payment = await store.byId(id);
      if (!mine(payment)) return;
      bank.put({ ...payment, extra: { ...payment.extra, ...extra } }, false);
      await journal.written();
    },
    async peek(id) {
      const payment = await store.byId(id);
      return mine(payment) && !isClosure(payment) ? payment : undefined;
    },
  };
}

/** The result of a step that left the payment so. */
function shown(payment: SandboxPayment, step: Step): Result {
  const refund = step === 'refund' ? payment.refunds?.at(-1) : undefined;
  return refund ? { kind: 'payment', payment, refund } : { kind: 'payment', payment };
}

function has(struck: readonly Fault[], kind: FaultKind): boolean {
  return struck.length > 0 && struck.some((fault) => fault.kind === kind);
}

function stickyOf(struck: readonly Fault[]): 'before' | 'after' | undefined {
  if (has(struck, 'sticky_before')) return 'before';
  return has(struck, 'sticky_after') ? 'after' : undefined;
}

async function delays(struck: readonly Fault[], scale: number): Promise<void> {
  const all_ms = struck.map(({ kind, delay_ms = DELAY_MS }) => (kind === 'delay' ? delay_ms * scale : 0));
  const delay_ms = Math.max(0, ...all_ms);
  if (delay_ms > 0) await sleep(delay_ms);
}

/** As a UPI app opens it. There is no app in a sandbox: it approves by itself after `upi_ms`. */
function upiLink({ id, amount, currency }: SandboxPayment): string {
  const query = new URLSearchParams({
    pa: 'stampede@sandbox',
    pn: 'Stampede',
    tr: id,
    am: isCurrency(currency) ? formatMinor(amount, currency) : String(amount),
    cu: currency,
  });
  return `upi://pay?${query}`;
}
