/**
 * Takes one attempt a step further, by the tables in steps.ts, and says what was found. Talks to the provider, not to
 * the ledger: the row was committed before, and what is found is written by settle.ts.
 */
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import type { LookUp, Outcome, Payment } from '../../payments/port.ts';
import type { Calls } from './calls.ts';
import { type Finding, wrongMoney } from './findings.ts';
import { nextStep, REVERSAL_BY_STATUS } from './steps.ts';

export type Advanced = {
  finding: Finding;
  /** Not where it should be yet: somebody has to come back soon. */
  again: boolean;
};

/** A row older than this may be behind the provider: look before doing anything that is not a look, ms. */
const TRUST_MS = 60_000;

const IDLE: Advanced = { finding: { kind: 'idle' }, again: false };

export type Advance = (attempt: AttemptRow & { made?: boolean }, until_ms: number) => Promise<Advanced>;

export function createAdvance(calls: Calls): { advance: Advance; reverse: Advance } {
  const advance: Advance = (attempt, until_ms) => {
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
    return judge(attempt, await calls.step('authorize', attempt, until_ms));
  }

  /** An outcome is looked up before it is asked for again; absence is what allows to ask, under the same key. */
  async function look(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const known = await calls.look(attempt, until_ms);
    if (known.kind === 'absent') return attempt.payable ? authorize(attempt, until_ms) : IDLE;
    return judge(attempt, outcomeOf(known));
  }

  async function capture(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const trusted = attempt.tries === 0 && Date.now() - attempt.updated_at.getTime() < TRUST_MS;
    if (!trusted) {
      const known = await calls.look(attempt, until_ms);
      if (known.kind === 'absent') return unknown('payment_lost');
      if (known.kind === 'unknown' || known.payment.status !== 'authorized')
        return judge(attempt, outcomeOf(known));
      const wrong = wrongMoney(attempt, known.payment);
      if (wrong) return unknown(`wrong_${wrong}`);
    }
    const captured = judge(attempt, await calls.step('capture', attempt, until_ms));
    // Refused, and still only authorized: somebody has to come back.
    const { finding } = captured;
    const open =
      finding.kind === 'declined' || (finding.kind === 'payment' && finding.payment.status === 'authorized');
    return open ? unknown('capture_refused') : captured;
  }

  /** Looks, voids or refunds, and looks again. What is still pending waits: it can't be called back. */
  async function reverse(attempt: AttemptRow, until_ms: number): Promise<Advanced> {
    const known = await calls.look(attempt, until_ms);
    if (known.kind === 'unknown') return unknown(known.reason);
    const found = known.kind === 'found' ? known.payment : undefined;
    // Nothing there: the reference is closed, so that an authorization still under way comes to nothing.
    const way = found ? REVERSAL_BY_STATUS[found.status] : 'void';
    if (found && (way === 'none' || way === 'wait')) return reversed(found);
    const target = { ...attempt, psp_ref: found?.psp_ref ?? attempt.psp_ref };
    const outcome =
      found && way === 'refund'
        ? await calls.step('refund', target, until_ms, found.captured - found.refunded)
        : await calls.step('void', target, until_ms);
    if (outcome.kind === 'unknown') return unknown(outcome.reason);
    if (!outcome.payment) return unknown(`reversal_${outcome.kind}`);
    const after = await calls.look(attempt, until_ms);
    if (after.kind === 'unknown') return unknown(after.reason);
    return reversed(after.kind === 'found' ? after.payment : outcome.payment);
  }

  return { advance, reverse };
}

/** Done only when the provider reads so. A pending payment is looked at again by the sweep. */
function reversed(payment: Payment): Advanced {
  const way = REVERSAL_BY_STATUS[payment.status];
  return { finding: { kind: 'payment', payment }, again: way === 'void' || way === 'refund' };
}

function judge(attempt: AttemptRow, outcome: Outcome): Advanced {
  switch (outcome.kind) {
    case 'unknown':
      return unknown(outcome.reason);
    case 'declined':
      if (!outcome.payment) return { finding: { kind: 'declined', code: outcome.code }, again: false };
      return judgePayment(attempt, outcome.payment);
    case 'approved':
    case 'pending':
      return judgePayment(attempt, outcome.payment);
  }
}

export function judgePayment(attempt: AttemptRow, payment: Payment): Advanced {
  const wrong = wrongMoney(attempt, payment);
  if (wrong) return unknown(`wrong_${wrong}`);
  return { finding: { kind: 'payment', payment }, again: false };
}

function outcomeOf(known: Exclude<LookUp, { kind: 'absent' }>): Outcome {
  return known.kind === 'found' ? { kind: 'approved', payment: known.payment } : known;
}

function unknown(reason: string): Advanced {
  return { finding: { kind: 'unknown', reason }, again: true };
}
