/** One order: GET, confirm (the stepwise road), cancel. Only its owner gets anything but a 404. */
import { type Canceled, cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { type Confirmed, confirmOrder } from '../../ledger/orders/confirm-order.ts';
import { findOrder } from '../../ledger/orders/find-order.ts';
import type { AttemptRow } from '../../ledger/payments/attempt-row.ts';
import { enqueueAttempts } from '../../payments/jobs/enqueue.ts';
import { LedgerUnavailable } from '../ledger-guard.ts';
import { onceIngested } from '../orders/once-ingested.ts';
import { orderFromLedger, orderFromReservation } from '../orders/order-view.ts';
import { paymentView, whyNotPaid } from '../orders/payment-view.ts';
import { isRefusal, json, type Refusal, type Reply, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import type { ConfirmBody } from '../schemas/requests.ts';
import type { Services } from './services.ts';

export type OrderServices = Pick<Services, 'db' | 'ledger' | 'findReservation'>;

export function orderHandlers(services: OrderServices) {
  const { db, ledger, findReservation } = services;

  /** The ledger's word, else the reservation's. `undefined`: the ledger could not be asked. */
  async function fromLedger(order_id: string, tenant: string, buyer: string): Promise<Reply | undefined> {
    try {
      const order = await ledger.ask(() => findOrder(db, tenant, order_id));
      if (!order || order.buyer !== buyer) return refuse('not_found');
      return json(200, orderFromLedger(order));
    } catch (error) {
      if (error instanceof LedgerUnavailable) return undefined;
      throw error;
    }
  }

  const order: Handler = async ({ head, caller }) => {
    const [order_id] = head.params;
    const told = await fromLedger(order_id, caller.tenant, caller.sub);
    if (told && !isRefusal(told)) return told;
    const found = await findReservation(order_id, caller.tenant, caller.sub);
    if (found.kind === 'found') return json(200, orderFromReservation(found.reservation, found.as_of_ms));
    // Nobody may say 404 who could not ask everybody.
    return found.kind === 'unknown' && told ? told : refuse('unavailable');
  };

  async function ended(
    outcome: Confirmed | Canceled,
    order_id: string,
    tenant: string,
    buyer: string,
  ): Promise<Reply> {
    if (outcome.kind === 'not_found') return refuse('not_found');
    if (outcome.kind === 'over') return refuse('reservation_expired');
    if (outcome.kind === 'invalid_state') {
      return refuse('invalid_state', { members: { state: outcome.state } });
    }
    return (await fromLedger(order_id, tenant, buyer)) ?? refuse('unavailable');
  }

  const confirm: Handler<ConfirmBody> = async ({ caller, body }) => {
    const order = { order_id: body.order_id, tenant: caller.tenant, buyer: caller.sub };
    const outcome = await onceIngested(services, order, () =>
      confirmOrder(db, order, (tx, attempts) => {
        const authorized = attempts.filter((attempt) => attempt.state === 'authorized');
        return enqueueAttempts(
          tx,
          'saga-capture',
          authorized.map((attempt) => attempt.id),
        );
      }),
    );
    if ('code' in outcome) return outcome;
    if (outcome.kind === 'invalid_state' && outcome.state === 'reserved') return notPaid(outcome.latest);
    return ended(outcome, order.order_id, order.tenant, order.buyer);
  };

  const cancel: Handler<unknown> = async ({ head, caller }) => {
    const order = { order_id: head.params[0], tenant: caller.tenant, buyer: caller.sub };
    const outcome = await onceIngested(services, order, () => cancelOrder(db, order));
    return 'code' in outcome ? outcome : ended(outcome, order.order_id, order.tenant, order.buyer);
  };

  return { order, confirm, cancel };
}

function notPaid(latest: AttemptRow | undefined): Refusal {
  const members = { state: 'reserved', ...(latest && { payment: paymentView(latest) }) };
  return refuse('invalid_state', { detail: whyNotPaid(latest), members });
}
