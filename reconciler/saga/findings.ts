/**
 * What was found out about an attempt, and what news that is to the ledger. Pure: the one place where a provider's
 * words become states of ours, for answers, webhooks and looks alike.
 */
import { type AttemptState, canAttemptTransition } from '../../domain/attempt-machine.ts';
import { ATTEMPTS_MAX } from '../../domain/limits.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import type { AttemptNews } from '../../ledger/payments/settle-attempts.ts';
import type { NextAction, Payment } from '../../payments/port.ts';
import { isOver } from './steps.ts';

export type Finding =
  /** How the payment stands at its provider. `key_no`, `answered`: of a call that was refused. */
  | { kind: 'payment'; payment: Payment; next_action?: NextAction; key_no?: number; answered?: true }
  /** Refused, with nothing there. */
  | { kind: 'declined'; code: string }
  /** Wanted back, and nothing is there or will be. */
  | { kind: 'nothing' }
  /** Nothing certain. `key_no`: of the call that did not tell. `absent`: nothing is there, but may be to come. */
  | { kind: 'unknown'; reason: string; key_no?: number; answered?: true; absent?: true }
  /** There was nothing to do or to learn. */
  | { kind: 'idle' };

/** When the sweep looks again if nothing else happens, ms. */
export const LOOK_AGAIN_MS = {
  /** A first authorization is under way. */
  begun: 30_000,
  /** The provider decides: a webhook is to come, a look finds it anyway. From 2 s, doubling. */
  pending_min: 2_000,
  pending_max: 60_000,
  /** A job of its own tries again, with gaps of up to 128 s. */
  unknown: 180_000,
  /** A capture is under way, or the buyer is to confirm. */
  authorized: 30_000,
  /** A reversal is under way. */
  captured: 30_000,
} as const;

/**
 * The news that a finding is, one after another: the provider may be several states ahead of the ledger. Empty when
 * there is nothing to write.
 */
export function newsOf(attempt: AttemptRow, finding: Finding): AttemptNews[] {
  const { id, state } = attempt;
  if (isOver(state)) return [];
  switch (finding.kind) {
    case 'idle':
      return [];
    case 'unknown':
      // What is known stays known: that a capture's answer is lost says nothing about the authorization.
      return [
        {
          id,
          state: state === 'pending' ? 'unknown' : state,
          look_again_ms: lookAgain('unknown', attempt),
          ...{ key_no: finding.key_no, answered: finding.answered, absent: finding.absent },
        },
      ];
    case 'nothing':
      return pathTo(state, 'voided').map((step) => ({ id, state: step, look_again_ms: 0 }));
    case 'declined':
      return [
        {
          id,
          state: 'declined',
          decline_code: finding.code,
          look_again_ms: lookAgain('declined', attempt),
          final: isLastTry(attempt),
        },
      ];
    case 'payment': {
      const { payment } = finding;
      const path = pathTo(state, payment.status);
      return path.map((step) => ({
        id,
        state: step,
        psp_ref: payment.psp_ref || null,
        decline_code: payment.decline_code,
        next_action: finding.next_action ?? payment.next_action,
        ...{ key_no: finding.key_no, answered: finding.answered },
        look_again_ms: lookAgain(step, attempt),
        final: isLastTry(attempt),
      }));
    }
  }
}

/** A payment that is not what was asked for is not settled; undefined when it is right. */
export function wrongMoney(attempt: AttemptRow, payment: Payment): string | undefined {
  if (attempt.reversal_wanted) return undefined;
  if (payment.status !== 'authorized' && payment.status !== 'captured') return undefined;
  if (payment.currency !== attempt.currency) return 'currency';
  if (payment.amount !== attempt.amount) return 'amount';
  if (payment.status === 'captured' && payment.captured !== attempt.amount) return 'captured_amount';
  return undefined;
}

/** On the checkout road the token is fixed, so a decline is the last word. */
function isLastTry(attempt: AttemptRow): boolean {
  return attempt.road === 'checkout' || attempt.no >= ATTEMPTS_MAX;
}

/** Where there is no edge. Whatever a provider calls it, money that is gone is gone. */
const DETOURS: Readonly<Record<string, AttemptState[]>> = {
  // Not through captured: a payment that was refunded behind our back must not confirm its order on the way.
  'pending refunded': ['unknown', 'refunded'],
  'authorized refunded': ['captured', 'refunded'],
  'authorized declined': ['voided'],
  'captured voided': ['refunded'],
  'captured declined': ['refunded'],
};

/** The states to go through, without the start: the state itself if it is there already, none if that would be a step back. */
export function pathTo(from: AttemptState, to: AttemptState): AttemptState[] {
  if (from === to || canAttemptTransition(from, to)) return [to];
  return DETOURS[`${from} ${to}`] ?? [];
}

function lookAgain(state: AttemptState, attempt: AttemptRow): number {
  if (state === 'pending') {
    return Math.min(LOOK_AGAIN_MS.pending_min * 2 ** Math.min(attempt.tries, 10), LOOK_AGAIN_MS.pending_max);
  }
  if (state === 'unknown' || state === 'authorized' || state === 'captured') return LOOK_AGAIN_MS[state];
  return 0;
}
