/**
 * The provider of a sequence: what it holds of each attempt is the truth of the money, whatever the ledger has heard.
 * It does what a provider does, in the order in which the saga would ask for it.
 */

import { settleAttempts } from '../../ledger/payments/settle-attempts.ts';
import { startPayment } from '../../ledger/payments/start-payment.ts';
import { type Pool, withTransaction } from '../../platform/postgres.ts';
import type { BankSays } from './commands.ts';

export type BankState = 'pending' | 'authorized' | 'captured' | 'declined' | 'voided' | 'refunded';

export type Attempt = {
  id: string;
  order_id: string;
  state: string;
  reversal_wanted: boolean;
  order_state: string;
  amount: number;
};

export type Bank = {
  pay(order: { id: string; buyer: string }): Promise<void>;
  /** The provider decides something about an attempt that it may still decide about. */
  decide(attempt: Attempt, says: BankSays, told: boolean): Promise<void>;
  /** The ledger hears what the provider reads. */
  tell(attempt: Attempt): Promise<void>;
  reverse(attempt: Attempt): Promise<void>;
  attempts(): Promise<Attempt[]>;
  stateOf(attempt_id: string): BankState;
};

const noJobs = () => Promise.resolve();

export function createBank(db: Pool, sale: { sale_no: number; tenant: string }): Bank {
  const states = new Map<string, BankState>();
  const stateOf = (id: string): BankState => states.get(id) ?? 'pending';

  async function settle(id: string, state: BankState | 'unknown'): Promise<void> {
    await withTransaction(db, (tx) => settleAttempts(tx, [{ id, state, look_again_ms: 60_000 }]));
  }

  return {
    stateOf,
    async attempts() {
      const { rows } = await db.query<Attempt>({
        text: `SELECT a.id, a.order_id, a.state, a.reversal_wanted, a.amount, o.state AS order_state
               FROM orders o JOIN attempts a ON a.order_id = o.id WHERE o.sale_no = $1 ORDER BY o.seq, o.id, a.no`,
        values: [sale.sale_no],
      });
      return rows;
    },
    async pay({ id, buyer }) {
      const payment_method = { type: 'card', token: 'pm_ok' } as const;
      await startPayment(
        db,
        {
          ...{ tenant: sale.tenant, buyer, order_id: id, payment_method, psp: 'sandbox' },
          ...{ extension_ms: 1_000, look_again_ms: 60_000 },
        },
        noJobs,
      );
    },
    async decide(attempt, says, told) {
      const state = stateOf(attempt.id);
      if (says === 'unknown') {
        if (state === 'pending') await settle(attempt.id, 'unknown');
        return;
      }
      // A capture is asked for once the order is confirmed and nobody wants the money back.
      const asked = attempt.order_state === 'confirmed' && !attempt.reversal_wanted;
      const may = says === 'captured' ? state === 'authorized' && asked : state === 'pending';
      if (may) states.set(attempt.id, says);
      if (told) await settle(attempt.id, stateOf(attempt.id));
    },
    async tell(attempt) {
      await settle(attempt.id, stateOf(attempt.id));
    },
    async reverse(attempt) {
      if (!attempt.reversal_wanted) return;
      const state = stateOf(attempt.id);
      // The payment is looked up first: what was never heard of is heard now.
      await settle(attempt.id, state);
      if (state === 'pending') states.set(attempt.id, 'declined');
      if (state === 'authorized') states.set(attempt.id, 'voided');
      if (state === 'captured') states.set(attempt.id, 'refunded');
      await settle(attempt.id, stateOf(attempt.id));
    },
  };
}
