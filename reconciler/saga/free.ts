/**
 * Orders that cost nothing: no provider is asked, which would refuse an amount of 0 or charge its fee for it. Their
 * attempts go the way of all others, with this for an answer.
 */
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import type { PaymentStatus } from '../../payments/port.ts';
import type { Advanced } from './advance.ts';
import { isOver } from './steps.ts';

export function advanceFree(attempt: AttemptRow): Advanced {
  const status = statusOf(attempt);
  if (!status) return { finding: { kind: 'idle' }, again: false };
  const { id: reference, currency } = attempt;
  const payment = {
    ...{ reference, psp_ref: '', status, amount: 0, captured: 0, refunded: 0, currency },
    ...{ decline_code: null, next_action: null },
  };
  return { finding: { kind: 'payment', payment }, again: false };
}

function statusOf(attempt: AttemptRow): PaymentStatus | undefined {
  if (isOver(attempt.state)) return undefined;
  if (attempt.reversal_wanted) return attempt.state === 'captured' ? 'refunded' : 'voided';
  if (attempt.state === 'pending' || attempt.state === 'unknown')
    return attempt.payable ? 'captured' : undefined;
  return undefined;
}
