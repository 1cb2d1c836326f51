/**
 * Carries out an operator's partial refund: look, ask, look again. What the provider says was given back of the whole
 * payment, beyond what the ledger knows of, is what this refund has done: one refund of a payment is open at a time.
 * So a lost answer, a 500 or a kill -9 in between gives nothing back twice.
 *
 * | the provider reads, beyond what the ledger has | then |
 * |---|---|
 * | the amount, or more | done |
 * | nothing | it is asked for; once the provider has taken it up it is only looked at |
 * | less | somebody gave that back at the provider; counted, and this refund comes on top |
 */
import {
  type FoundRefund,
  findRefund,
  type RefundNews,
  settleRefund,
} from '../../ledger/payments/settle-refund.ts';
import type { Pool } from '../../platform/postgres.ts';
import { type Calls, NOT_CONFIGURED } from './calls.ts';
import { keyOf, type Patience } from './steps.ts';

export type RefunderOptions = {
  pool: Pool;
  calls: Calls;
  patience: Patience;
  on_over: (outcome: 'done' | 'refused') => void;
  /** Somebody else gave money back. */
  on_foreign: (found: FoundRefund) => void;
};

const LOOK_AGAIN_MS = 180_000;

/** Returns why somebody has to come back, or undefined if nobody has. */
export type Refunder = (refund_id: string, until_ms: number) => Promise<string | undefined>;

export function createRefunder(options: RefunderOptions): Refunder {
  const { pool, calls, patience } = options;

  async function settle(found: FoundRefund, news: Omit<RefundNews, 'look_again_ms'>): Promise<void> {
    const settled = await settleRefund(pool, found.refund, { ...news, look_again_ms: LOOK_AGAIN_MS });
    if (settled && news.state !== 'wanted') options.on_over(news.state);
  }

  async function open(found: FoundRefund, reason: string, news: Partial<RefundNews> = {}): Promise<string> {
    await settle(found, { state: 'wanted', key_no: found.refund.key_no, ...news });
    return reason;
  }

  /** Minor units that the provider has given back beyond what the ledger knows of. */
  async function lookBeyond(found: FoundRefund, until_ms: number) {
    const known = await calls.look(found.attempt, until_ms);
    if (known.kind === 'unknown') return known;
    if (known.kind === 'absent') return { kind: 'unknown', reason: 'payment_lost' } as const;
    const given_back = known.payment.refunded;
    return { kind: 'found', given_back, beyond: given_back - found.attempt.refunded } as const;
  }

  return async (refund_id, until_ms) => {
    const found = await findRefund(pool, refund_id);
    if (found?.refund.state !== 'wanted') return undefined;
    const { refund, attempt } = found;
    // The reversal gives everything back, and closes this.
    if (attempt.reversal_wanted || attempt.state !== 'captured') return undefined;
    const psp = calls.pspOf(attempt);
    if (!psp) return open(found, NOT_CONFIGURED.reason);
    const key_no = keyOf(refund, patience);
    if (!psp.capabilities.partial_refunds) {
      const refusal_code = 'partial_refund_not_supported';
      await settle(found, { state: 'refused', refusal_code, key_no: refund.key_no });
      return undefined;
    }
    const before = await lookBeyond(found, until_ms);
    if (before.kind === 'unknown') return open(found, before.reason);
    if (before.beyond >= refund.amount) {
      if (before.beyond > refund.amount) options.on_foreign(found);
      await settle(found, { state: 'done', key_no: refund.key_no, given_back: before.given_back });
      return undefined;
    }
    if (before.beyond > 0) {
      options.on_foreign(found);
      return open(found, 'foreign_refund', { given_back: before.given_back });
    }
    if (refund.psp_ref !== null) return open(found, 'under_way');
    if (key_no === 'quiet') return open(found, 'key_rests');

    const outcome = await calls.step(attempt, until_ms, {
      ...{ step: 'refund', key_no, refund_id },
      amount: refund.amount,
    });
    if (outcome.kind === 'unknown')
      return open(found, outcome.reason, { key_no, answered: outcome.answered });
    const after = await lookBeyond(found, until_ms);
    if (after.kind === 'unknown') return open(found, after.reason, { key_no });
    if (after.beyond >= refund.amount) {
      await settle(found, { state: 'done', key_no, given_back: after.given_back });
      return undefined;
    }
    if (outcome.kind === 'declined') {
      await settle(found, { state: 'refused', refusal_code: outcome.code, key_no });
      return undefined;
    }
    // Taken up, and not done yet.
    return open(found, 'under_way', { key_no, psp_ref: outcome.payment.psp_ref });
  };
}
