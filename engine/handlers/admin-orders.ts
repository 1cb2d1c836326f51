/**
 * What operators see and do of their tenant's orders: list, look, refund, ship, deliver, return. Where money moves, once
 * per Idempotency-Key: the first answer is kept and told again.
 */

import { requestFingerprint } from '../../domain/fingerprint.ts';
import type { OrderState } from '../../domain/order-machine.ts';
import { deliverOrder } from '../../ledger/orders/deliver-order.ts';
import { findOrder } from '../../ledger/orders/find-order.ts';
import type { GiveBackAnswer, OperatorOrderRequest } from '../../ledger/orders/give-back.ts';
import { listOrders } from '../../ledger/orders/list-orders.ts';
import { operatorDetails } from '../../ledger/orders/operator-view.ts';
import { type RefundedOrder, refundOrder } from '../../ledger/orders/refund-order.ts';
import { returnOrder } from '../../ledger/orders/return-order.ts';
import { recordShipment } from '../../ledger/payments/record-shipment.ts';
import { enqueueAttempts, enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import type { Caller } from '../access/caller.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { listedOrderView, operatorOrderView } from '../orders/operator-order-view.ts';
import { cursorOf, placeOf } from '../orders/orders-cursor.ts';
import { createQueryReader } from '../query.ts';
import { json, type Refusal, type Reply, refuse } from '../reply.ts';
import { type Context, type Handler, invalid } from '../route.ts';
import { ORDERS_PAGE_DEFAULT } from '../schemas/order-patterns.ts';
import {
  type OrdersQuery,
  ordersQuery,
  type RefundBody,
  type ReturnBody,
  type ShipmentBody,
} from '../schemas/order-requests.ts';
import type { BodySchema } from '../schemas/validate.ts';
import type { Services } from './services.ts';

const readQuery = createQueryReader(ordersQuery as BodySchema<OrdersQuery>);

export function adminOrderHandlers(services: Pick<Services, 'db' | 'ledger'>) {
  const { db, ledger } = services;

  const list: Handler = async ({ head, caller }) => {
    const read = readQuery(head);
    if ('code' in read) return read;
    const { state, sale_id, limit, cursor } = read.query;
    const after = cursor === undefined ? undefined : placeOf(cursor);
    if (cursor !== undefined && !after) {
      return invalid([{ path: '/cursor', message: 'must be the next_cursor of a page' }]);
    }
    const wanted = { tenant: caller.tenant, sale: sale_id, state, after };
    const page = await ledger.ask(
      () => listOrders(db, { ...wanted, limit: Number(limit ?? ORDERS_PAGE_DEFAULT) }),
      LEDGER_WRITE_MS,
    );
    return json(200, {
      orders: page.orders.map(listedOrderView),
      next_cursor: page.next && cursorOf(page.next),
    });
  };

  const look = (order_id: string, tenant: string) =>
    ledger.ask(async () => {
      const found = await findOrder(db, tenant, order_id);
      return found && operatorOrderView(found, await operatorDetails(db, order_id));
    }, LEDGER_WRITE_MS);

  const order: Handler = async ({ head, caller }) => {
    const view = await look(head.params[0], caller.tenant);
    return view ? json(200, view) : refuse('not_found');
  };

  const refund: Handler<RefundBody> = async (context) => {
    const { amount, reason = null, restock = false } = context.body;
    const request = { ...keyedRequest(context, 'refund'), amount, reason, restock };
    const outcome = await ledger.ask(
      () =>
        refundOrder(db, request, {
          reverse: (tx, ids) => enqueueAttempts(tx, 'saga-reverse', ids),
          refund: (tx, row) => enqueueRefunds(tx, [row.id]),
        }),
      LEDGER_WRITE_MS,
    );
    return givenBack(outcome);
  };

  const giveBack: Handler<ReturnBody> = async (context) => {
    const { reason = null, restock = true } = context.body;
    const request = { ...keyedRequest(context, 'return'), reason, restock };
    const outcome = await ledger.ask(
      () => returnOrder(db, request, (tx, ids) => enqueueAttempts(tx, 'saga-reverse', ids)),
      LEDGER_WRITE_MS,
    );
    return givenBack(outcome);
  };

  const ship: Handler<ShipmentBody> = async ({ head, caller, body }) => {
    const { tracking_url } = body;
    if (tracking_url !== undefined && !isWebAddress(tracking_url)) {
      return invalid([{ path: '/tracking_url', message: 'must be an http or https URL' }]);
    }
    const [order_id] = head.params;
    const shipment = { tenant: caller.tenant, order_id, ...body, actor: actorOf(caller) };
    const outcome = await ledger.ask(
      () => recordShipment(db, shipment, (tx, ids) => enqueueAttempts(tx, 'saga-capture', ids)),
      LEDGER_WRITE_MS,
    );
    switch (outcome.kind) {
      case 'not_found':
        return refuse('not_found');
      case 'conflict':
        return refuse('shipment_exists');
      case 'unpaid':
        return inState('confirmed', UNPAID);
      case 'invalid_state':
        return inState(outcome.state);
      default:
        return onItsWay(order_id, caller.tenant);
    }
  };

  /** 200 once it is shipped, 202 while its money is being taken. */
  async function onItsWay(order_id: string, tenant: string): Promise<Reply> {
    const view = await look(order_id, tenant);
    if (!view) return refuse('not_found');
    if (view.state === 'shipped' || view.state === 'delivered') return json(200, view);
    if (view.state !== 'confirmed') return inState(view.state);
    const awaited = view.payments.some(
      ({ state }) => state !== 'voided' && state !== 'refunded' && state !== 'declined',
    );
    return awaited ? json(202, view) : inState(view.state, UNPAID);
  }

  const deliver: Handler<unknown> = async ({ head, caller }) => {
    const [order_id] = head.params;
    const wanted = { tenant: caller.tenant, order_id, actor: actorOf(caller) };
    const outcome = await ledger.ask(() => deliverOrder(db, wanted), LEDGER_WRITE_MS);
    if (outcome.kind === 'not_found') return refuse('not_found');
    if (outcome.kind === 'invalid_state') return inState(outcome.state);
    const view = await look(order_id, caller.tenant);
    return view ? json(200, view) : refuse('not_found');
  };

  return { list, order, refund, ship, deliver, giveBack };
}

const UNPAID = 'Its money is gone: the provider released it or gave it back. Refund the order to end it.';
const NOT_CAPTURED =
  'Its money is held and not taken yet: all of it can be given up, a part of it cannot be given back.';
const IN_PROGRESS = 'A part of its money is on its way back. One after another: try again once that is done.';

/** Who did it, in the order's history. A subject has at most 128 characters. */
const actorOf = (caller: Caller): string => `operator:${caller.sub}`;

function inState(state: OrderState, detail?: string): Refusal {
  return refuse('invalid_state', { members: { state }, detail });
}

/** The fingerprint takes the body as it was sent, defaults filled in. */
function keyedRequest(
  { head, caller, key, body }: Context<RefundBody | ReturnBody>,
  action: 'refund' | 'return',
): OperatorOrderRequest {
  const [order_id] = head.params;
  const fingerprint = requestFingerprint(`POST /v1/admin/orders/${order_id}/${action}`, body);
  return { tenant: caller.tenant, order_id, key, fingerprint, actor: actorOf(caller) };
}

function givenBack(outcome: RefundedOrder): Reply {
  switch (outcome.kind) {
    case 'not_found':
      return refuse('not_found');
    case 'key_reused':
      return refuse('idempotency_key_reused');
    case 'invalid_state':
      return inState(outcome.state);
    case 'in_progress':
      return inState(outcome.state, IN_PROGRESS);
    case 'not_captured':
      return inState(outcome.state, NOT_CAPTURED);
    case 'too_much':
      return refuse('refund_too_large', { members: { left: outcome.left, currency: outcome.currency } });
    case 'restock_of_a_part':
      return invalid([{ path: '/restock', message: 'goes only with all that is left' }]);
    case 'done':
    case 'replay':
      return answer(outcome.answer, outcome.kind === 'replay');
  }
}

/** 200: the order is refunded, its money follows. 202: the part is on its way. Members in one order: a replay is verbatim. */
function answer(given: GiveBackAnswer, replayed: boolean): Reply {
  const { order_id, state, refund_id, amount, currency, reason, restock } = given;
  const headers = ['Cache-Control', 'no-store', 'Location', `/v1/admin/orders/${order_id}`];
  if (replayed) headers.push('Idempotent-Replayed', 'true');
  const value = { order_id, state, refund_id, amount, currency, reason, restocked: restock };
  return json(refund_id === null ? 200 : 202, value, headers);
}

/** Buyers are shown it as a link: nothing but the web, and no user name that makes another host look like the shop's. */
function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return (
    /^https?:\/\//i.test(text) && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  );
}
