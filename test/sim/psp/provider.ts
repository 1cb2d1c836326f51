/**
 * A simulated payment provider, as unkind as a real one: what it did and what it says may differ in time, an error may come
 * before or after it was done and is repeated for the same key, a call that its caller has given up may be carried out
 * later, and under another key the same money is taken again. Its payments are the witness of invariant 4.
 */
import type { Capabilities, Payment, PaymentStatus } from '../../../payments/port.ts';
import type { Random } from '../core/random.ts';

export type ProviderKind = 'closing' | 'creating' | 'plain';

/** `closing`: a void closes an unknown reference. `creating`: payments are made unconfirmed first. `plain`: neither. */
export const CAPABILITIES: Readonly<Record<ProviderKind, Capabilities>> = {
  closing: common(true),
  creating: common(false),
  plain: common(false),
};

function common(closes_references: boolean): Capabilities {
  return {
    ...{ methods: ['card', 'upi', 'wallet'], currencies: 'any', captures_at_once: [] },
    ...{ partial_refunds: true, closes_references, authorization_days: 7 },
  };
}

export type ProviderPayment = {
  reference: string;
  psp_ref: string;
  status: PaymentStatus | 'made';
  amount: number;
  captured: number;
  refunded: number;
  currency: string;
  decline_code: string | null;
};

export type Request = {
  step: 'create' | 'authorize' | 'capture' | 'void' | 'refund' | 'look_up';
  reference: string;
  psp_ref: string | null;
  key: string;
  amount: number;
  currency: string;
  token: string;
};

export type Answer =
  | { kind: 'payment'; payment: Payment }
  | { kind: 'declined'; code: string; payment?: Payment }
  | { kind: 'absent' }
  /** 500: it says nothing about what was done. */
  | { kind: 'error' };

export type ProviderEvent = { id: string; payment: Payment };

export type Provider = {
  kind: ProviderKind;
  carryOut(request: Request): Answer;
  payments(): readonly ProviderPayment[];
  /** In everything it did, in order. */
  journal(): readonly string[];
};

export type ProviderOptions = {
  kind: ProviderKind;
  random: Random;
  /** Shares of calls that are answered with an error; half of them after having been carried out. */
  errors: () => number;
  /** Of authorizations that are decided later. */
  pending: number;
  later: (after_ms: number, run: () => void) => void;
  tell: (event: ProviderEvent) => void;
};

const STICKY = 0.3;

export function createProvider(options: ProviderOptions): Provider {
  const { kind, random } = options;
  const payments: ProviderPayment[] = [];
  /** What was answered under a key: a success again, a sticky error for ever. */
  const answers = new Map<string, Answer>();
  const closed = new Set<string>();
  const journal: string[] = [];

  const shown = (payment: ProviderPayment): Payment => {
    const { reference, psp_ref, amount, captured, refunded, currency, decline_code } = payment;
    const status = payment.status === 'made' ? 'pending' : payment.status;
    const next_action = status === 'pending' ? ({ type: 'wait' } as const) : null;
    return { reference, psp_ref, status, amount, captured, refunded, currency, decline_code, next_action };
  };

  function change(payment: ProviderPayment, what: Partial<ProviderPayment>): void {
    Object.assign(payment, what);
    journal.push(
      `${payment.reference} ${payment.psp_ref} ${payment.status} ${payment.captured}-${payment.refunded}`,
    );
    options.tell({ id: `evt_${journal.length}`, payment: shown(payment) });
  }

  function make(request: Request, status: ProviderPayment['status']): ProviderPayment {
    const { reference, amount, currency } = request;
    const payment: ProviderPayment = {
      ...{ reference, amount, currency, status, captured: 0, refunded: 0, decline_code: null },
      psp_ref: `pay_${payments.length + 1}`,
    };
    payments.push(payment);
    return payment;
  }

  /** By its own name where that is known, else the latest that holds or may hold money, else the latest. */
  function find({ reference, psp_ref }: Request): ProviderPayment | undefined {
    const own = payments.filter((payment) => payment.reference === reference);
    if (psp_ref !== null) return own.find((payment) => payment.psp_ref === psp_ref);
    if (kind === 'creating') return undefined;
    const holding = own.filter(({ status }) => status !== 'declined' && status !== 'voided');
    return holding.at(-1) ?? own.at(-1);
  }

  function authorize(request: Request): Answer {
    if (closed.has(request.reference)) return { kind: 'declined', code: 'reference_closed' };
    const made = kind === 'creating' ? find(request) : undefined;
    if (kind === 'creating' && made?.status !== 'made') {
      if (!made) return { kind: 'declined', code: 'no_such_payment' };
      // A payment is confirmed once; then it says how it stands.
      return { kind: 'payment', payment: shown(made) };
    }
    const payment = made ?? make(request, 'made');
    const decide = (): Partial<ProviderPayment> =>
      request.token === 'pm_declined'
        ? { status: 'declined', decline_code: 'card_declined' }
        : { status: 'authorized' };
    if (request.token === 'pm_pending' || random.chance(options.pending)) {
      change(payment, { status: 'pending' });
      options.later(random.delay_ms(200, 15_000), () => {
        if (payment.status === 'pending') change(payment, decide());
      });
    } else {
      change(payment, decide());
    }
    if (payment.status === 'declined') {
      return { kind: 'declined', code: 'card_declined', payment: shown(payment) };
    }
    return { kind: 'payment', payment: shown(payment) };
  }

  function perform(request: Request): Answer {
    if (request.step === 'create') return { kind: 'payment', payment: shown(make(request, 'made')) };
    if (request.step === 'authorize') return authorize(request);
    const payment = find(request);
    if (!payment) {
      if (request.step !== 'void') return { kind: 'absent' };
      if (kind !== 'closing') return { kind: 'declined', code: 'not_found' };
      closed.add(request.reference);
      const nothing = make(request, 'made');
      change(nothing, { status: 'voided' });
      return { kind: 'payment', payment: shown(nothing) };
    }
    const refuse = (code: string): Answer => ({ kind: 'declined', code, payment: shown(payment) });
    const done = (what: Partial<ProviderPayment>): Answer => {
      change(payment, what);
      return { kind: 'payment', payment: shown(payment) };
    };
    switch (request.step) {
      case 'look_up':
        return payment.status === 'made' ? { kind: 'absent' } : { kind: 'payment', payment: shown(payment) };
      case 'capture':
        if (payment.status !== 'authorized') return refuse('not_authorized');
        return done({ status: 'captured', captured: request.amount });
      case 'void':
        if (payment.status !== 'authorized' && payment.status !== 'pending' && payment.status !== 'made')
          return refuse('not_voidable');
        return done({ status: 'voided' });
      case 'refund': {
        if (payment.status !== 'captured') return refuse('not_captured');
        const refunded = payment.refunded + request.amount;
        if (refunded > payment.captured) return refuse('too_much');
        return done({ refunded, status: refunded === payment.captured ? 'refunded' : 'captured' });
      }
    }
  }

  return {
    kind,
    payments: () => payments,
    journal: () => journal,
    carryOut(request) {
      const fails = random.next();
      const errors = options.errors();
      if (request.step === 'look_up') return fails < errors ? { kind: 'error' } : perform(request);
      const known = answers.get(request.key);
      if (known) {
        if (known.kind === 'error') return known;
        const payment =
          known.kind === 'payment' ? find({ ...request, psp_ref: known.payment.psp_ref }) : undefined;
        return payment && known.kind === 'payment' ? { kind: 'payment', payment: shown(payment) } : known;
      }
      if (fails < errors / 2) {
        if (random.chance(STICKY)) answers.set(request.key, { kind: 'error' });
        return { kind: 'error' };
      }
      const answer = perform(request);
      answers.set(request.key, answer);
      if (fails < errors) {
        if (random.chance(STICKY)) answers.set(request.key, { kind: 'error' });
        return { kind: 'error' };
      }
      return answer;
    },
  };
}
