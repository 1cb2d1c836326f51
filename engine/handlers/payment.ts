/** POST /v1/payment/initiate: starts paying a reserved order, and waits a moment for what comes of it. */
import { createHash } from 'node:crypto';
import { PAYMENT_EXTENSION_MS } from '../../domain/limits.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { attemptsById } from '../../ledger/payments/find-attempts.ts';
import { type StartedPayment, startPayment } from '../../ledger/payments/start-payment.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import { refusePayment } from '../../payments/providers.ts';
import type { Caller } from '../access/caller.ts';
import { LedgerUnavailable } from '../ledger-guard.ts';
import { onceIngested } from '../orders/once-ingested.ts';
import { isOpen, paymentView, waitsForBuyer } from '../orders/payment-view.ts';
import { iso, json, type Reply, refuse } from '../reply.ts';
import { type Handler, invalid } from '../route.ts';
import type { InitiateBody } from '../schemas/requests.ts';
import type { Services } from './services.ts';

/** The queue does the work; the sweep looks after this if the queue has lost it. */
const LOOK_AGAIN_MS = 15_000;
const WAIT_MS_MAX = 2_500;
const LOOK_MS = 50;

export function paymentHandlers(services: Pick<Services, 'db' | 'ledger' | 'findReservation' | 'providers'>) {
  const { db, ledger, providers } = services;

  const initiate: Handler<InitiateBody> = async ({ caller, body, key }) => {
    const { order_id, payment_method } = body;
    const order = { order_id, tenant: caller.tenant, buyer: caller.sub };
    const attempt_id = attemptId(caller, key);
    const outcome = await onceIngested(services, order, () =>
      startPayment(
        db,
        {
          ...order,
          ...{ attempt_id, payment_method, psp: providers.chosen.name },
          ...{ extension_ms: PAYMENT_EXTENSION_MS, look_again_ms: LOOK_AGAIN_MS },
          refusal: (terms) => refusePayment(providers, terms)?.reason,
        },
        (tx, attempt) => enqueueAttempts(tx, 'saga-look', [attempt.id]),
      ),
    );
    if ('code' in outcome) return outcome;
    if (!('attempt' in outcome)) return refused(outcome);
    const attempt = await outcomeOf(outcome.attempt);
    return paymentReply(attempt, outcome);
  };

  /** The attempt once its outcome is known, or as it stands after a moment. */
  async function outcomeOf(attempt: AttemptRow): Promise<AttemptRow> {
    const until_ms = performance.now() + WAIT_MS_MAX;
    let latest = attempt;
    // What the buyer has to do is an answer, too: the payment goes on only after that.
    while (isOpen(latest) && !waitsForBuyer(latest) && performance.now() < until_ms) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      try {
        latest = (await ledger.ask(() => attemptsById(db, [attempt.id])))[0] ?? latest;
      } catch (error) {
        if (!(error instanceof LedgerUnavailable)) throw error;
        break;
      }
    }
    return latest;
  }

  return { initiate };
}

function refused(outcome: Exclude<StartedPayment, { attempt: AttemptRow } | { kind: 'not_found' }>): Reply {
  switch (outcome.kind) {
    case 'over':
      return refuse('reservation_expired');
    case 'key_reused':
      return refuse('idempotency_key_reused');
    case 'invalid_state':
      return refuse('invalid_state', { members: { state: outcome.state } });
    case 'not_supported':
      return invalid([{ path: '/payment_method/type', message: outcome.reason }]);
    case 'attempts_used_up':
      return refuse('invalid_state', {
        detail: 'This order was tried to pay as often as an order can be.',
        members: { state: 'reserved' },
      });
  }
}

/** 200 when the outcome is known, 202 while it is not: GET the order then. */
function paymentReply(attempt: AttemptRow, started: Extract<StartedPayment, { attempt: AttemptRow }>): Reply {
  const headers = ['Cache-Control', 'no-store', 'Location', `/v1/orders/${attempt.order_id}`];
  if (started.kind === 'replay') headers.push('Idempotent-Replayed', 'true');
  const view = {
    order_id: attempt.order_id,
    state: attempt.order_state,
    payment: paymentView(attempt),
    reservation: { expires_at: iso(started.expires_at.getTime()), server_time: iso(Date.now()) },
  };
  return json(isOpen(attempt) ? 202 : 200, view, headers);
}

/** The same for the same buyer and key: a retry finds its attempt, whatever has become of it. A UUID of version 8. */
function attemptId(caller: Caller, key: string): string {
  const bytes = createHash('sha256').update(`attempt\n${caller.tenant}\n${caller.sub}\n${key}`).digest();
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.subarray(0, 16).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
