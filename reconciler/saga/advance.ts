/**
 * Takes one attempt a step further, by the tables in steps.ts, and says what was found. Talks to the provider, and to
 * the ledger only to store a reference before anything is charged: the row was committed before, and what is found is
 * written by settle.ts.
 */
import type { PaymentMethod } from '../../domain/types.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import type { LookUp, NextAction, Outcome, Payment } from '../../payments/port.ts';
import { refuseTerms } from '../../payments/terms.ts';
import { type Calls, NOT_CONFIGURED, type StepCall } from './calls.ts';
import { type Finding, wrongMoney } from './findings.ts';
import { advanceFree } from './free.ts';
import { firstStep, isOver, keyOf, nextStep, type Patience, REVERSAL_BY_STATUS } from './steps.ts';

export type Advanced = {
  finding: Finding;
  /** Not where it should be yet: somebody has to come back soon. */
  again: boolean;
};

/** A row older than this may be behind the provider: look before doing anything that is not a look, ms. */
const TRUST_MS = 60_000;

export const IDLE: Advanced = { finding: { kind: 'idle' }, again: false };

export type Advance = (attempt: AttemptRow & { made?: boolean }, until_ms: number) => Promise<Advanced>;

export type AdvanceOptions = {
  calls: Calls;
  /** Stores a created payment's reference; false: it may not be confirmed any more. */
  storeReference: (attempt_id: string, psp_ref: string) => Promise<boolean>;
  patience: Patience;
};

export function createAdvance(options: AdvanceOptions): { advance: Advance; reverse: Advance } {
  const { calls, patience } = options;

  const advance: Advance = (attempt, until_ms) => {
    if (attempt.amount === 0) return Promise.resolve(advanceFree(attempt));
    switch (nextStep(attempt)) {
      case 'authorize':
        return authorize(attempt, until_ms);
      case 'look':
        return look(attempt, until_ms);
      case 'capture':
        return capture(attempt, until_ms);
      case 'reverse':
        return reverse(attempt, until_ms);
      case 'wait':
      case 'none':
        return Promise.resolve(IDLE);
    }
  };

  async function authorize(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const psp = calls.pspOf(attempt);
    if (!psp) return unknown(NOT_CONFIGURED.reason);
    const terms = {
      currency: attempt.currency,
      method: attempt.method_type as PaymentMethod['type'],
      capture: attempt.sale_capture,
    };
    if (refuseTerms(psp, terms)) {
      return { finding: { kind: 'declined', code: 'method_not_supported' }, again: false };
    }
    const key_no = keyOf(attempt, patience);
    if (key_no === 'quiet') return unknown('key_rests');
    if (firstStep(attempt, psp.create !== undefined) === 'authorize') return hold(attempt, until_ms, key_no);
    const created = await calls.create(attempt, until_ms, key_no);
    if (created.kind === 'declined')
      return { finding: { kind: 'declined', code: created.code }, again: false };
    if (created.kind === 'unknown') return unknown(created.reason, key_no, created.answered);
    const { psp_ref } = created;
    // Not stored, never confirmed: it has charged nothing, and will not.
    if (!(await options.storeReference(attempt.id, psp_ref))) return IDLE;
    return hold({ ...attempt, psp_ref }, until_ms, key_no);
  }

  /**
   * A refusal that does not say how the payment stands may be one because there is a payment already, by another call:
   * believed when a look finds none.
   */
  async function hold(attempt: AttemptRow, until_ms: number, key_no: number): Promise<Advanced> {
    const outcome = await calls.step(attempt, until_ms, { step: 'authorize', key_no });
    if (outcome.kind !== 'declined' || outcome.payment) return judge(attempt, outcome, key_no);
    const known = await calls.look(attempt, until_ms);
    if (known.kind === 'unknown') return unknown(known.reason);
    if (known.kind === 'absent' || known.payment.status === 'declined')
      return { finding: { kind: 'declined', code: outcome.code }, again: false };
    return judge(attempt, outcomeOf(known));
  }

  /** An outcome is looked up before it is asked for again; absence is what allows to ask, under the same key. */
  async function look(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const known = await calls.look(attempt, until_ms);
    if (known.kind === 'absent') return attempt.payable ? authorize(attempt, until_ms) : IDLE;
    return judge(attempt, outcomeOf(known));
  }

  async function capture(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const trusted = attempt.tries === 0 && attempt.still_ms < TRUST_MS;
    if (!trusted) {
      const known = await calls.look(attempt, until_ms);
      if (known.kind === 'absent') return unknown('payment_lost');
      if (known.kind === 'unknown' || known.payment.status !== 'authorized')
        return judge(attempt, outcomeOf(known));
      const wrong = wrongMoney(attempt, known.payment);
      if (wrong) return unknown(`wrong_${wrong}`);
    }
    const key_no = keyOf(attempt, patience);
    if (key_no === 'quiet') return unknown('key_rests');
    const captured = judge(attempt, await calls.step(attempt, until_ms, { step: 'capture', key_no }), key_no);
    // Refused, and still only authorized: somebody has to come back.
    const { finding } = captured;
    const open =
      finding.kind === 'declined' || (finding.kind === 'payment' && finding.payment.status === 'authorized');
    return open ? unknown('capture_refused', key_no, true) : captured;
  }

  /** Looks, voids or refunds what is left, and looks again. */
  async function reverse(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const psp = calls.pspOf(attempt);
    if (!psp) return unknown(NOT_CONFIGURED.reason);
    // Made at most, by somebody whose reference is refused from now on: never confirmed.
    if (psp.create && attempt.psp_ref === null) return { finding: { kind: 'nothing' }, again: false };
    const known = await calls.look(attempt, until_ms);
    if (known.kind === 'unknown') return unknown(known.reason);
    const found = known.kind === 'found' ? known.payment : undefined;
    if (!found && isOver(attempt.state)) return IDLE;
    if (!found && !psp.capabilities.closes_references) return believeAbsence(attempt);
    const way = found ? REVERSAL_BY_STATUS[found.status] : 'void';
    if (found && way === 'none') return { finding: { kind: 'payment', payment: found }, again: false };
    // Nobody can give it up: its provider does, in the end. The sweep looks until then.
    if (found && way === 'void' && psp.capabilities.voids === false)
      return { finding: { kind: 'payment', payment: found }, again: false };
    const key_no = keyOf(attempt, patience);
    if (key_no === 'quiet') return unknown('key_rests');
    const target = { ...attempt, psp_ref: found?.psp_ref ?? attempt.psp_ref };
    // Nothing there: the reference is closed, so that an authorization still under way comes to nothing.
    const call: StepCall =
      found && way === 'refund'
        ? { step: 'refund', key_no, amount: found.captured - found.refunded }
        : { step: 'void', key_no };
    const outcome = await calls.step(target, until_ms, call);
    if (outcome.kind === 'unknown') return unknown(outcome.reason, key_no, outcome.answered);
    const after = await calls.look(attempt, until_ms);
    if (after.kind === 'unknown') return unknown(after.reason);
    const payment = after.kind === 'found' ? after.payment : outcome.payment;
    if (!payment) return unknown('reversal_refused', key_no, true);
    return reversed(payment, outcome.kind === 'declined' ? key_no : undefined);
  }

  /**
   * A name that can't be closed: whoever asked for money before it was wanted back has ended a while after the first
   * time that nothing was there, and if there is nothing even then, nothing will be.
   */
  function believeAbsence(attempt: AttemptRow): Advanced {
    if ((attempt.absent_ms ?? -1) >= patience.quiet_ms) return { finding: { kind: 'nothing' }, again: false };
    return { finding: { kind: 'unknown', reason: 'absent', absent: true }, again: true };
  }

  return { advance, reverse };
}

/** Done only when the provider reads so. A payment still pending is looked at again by the sweep. */
function reversed(payment: Payment, refused_key_no: number | undefined): Advanced {
  const way = REVERSAL_BY_STATUS[payment.status];
  const finding: Finding = { kind: 'payment', payment };
  if (refused_key_no !== undefined) Object.assign(finding, { key_no: refused_key_no, answered: true });
  return { finding, again: way === 'void' || way === 'refund' };
}

function judge(attempt: AttemptRow, outcome: Outcome, key_no?: number): Advanced {
  switch (outcome.kind) {
    case 'unknown':
      return unknown(outcome.reason, key_no, outcome.answered);
    case 'declined':
      if (!outcome.payment) return { finding: { kind: 'declined', code: outcome.code }, again: false };
      return judgePayment(attempt, outcome.payment);
    case 'approved':
      return judgePayment(attempt, outcome.payment);
    case 'pending':
      return judgePayment(attempt, outcome.payment, outcome.next_action);
  }
}

export function judgePayment(attempt: AttemptRow, payment: Payment, next_action?: NextAction): Advanced {
  const wrong = wrongMoney(attempt, payment);
  if (wrong) return unknown(`wrong_${wrong}`);
  const finding: Finding = { kind: 'payment', payment };
  if (next_action) finding.next_action = next_action;
  return { finding, again: false };
}

function outcomeOf(known: Exclude<LookUp, { kind: 'absent' }>): Outcome {
  return known.kind === 'found' ? { kind: 'approved', payment: known.payment } : known;
}

/** `key_no`: of the call that came to nothing certain; absent where nothing but a look was tried. */
function unknown(reason: string, key_no?: number, answered?: boolean): Advanced {
  const finding: Finding = { kind: 'unknown', reason };
  if (key_no !== undefined) finding.key_no = key_no;
  if (answered) finding.answered = true;
  return { finding, again: true };
}
