/** Taking stock: POST /v1/checkout (and pay by saga) and POST /v1/inventory/lock (the stepwise road). */
import { requestFingerprint } from '../../domain/fingerprint.ts';
import { dayOf, encodeOrderId, requestHash } from '../../domain/ids.ts';
import { RECORD_WINDOW_DAYS } from '../../domain/limits.ts';
import type { ReserveOutcome, ReserveRequest } from '../checkout/port.ts';
import { reservationJson } from '../orders/order-view.ts';
import { iso, JSON_TYPE, type Refusal, type Reply, refuse } from '../reply.ts';
import type { Context, Handler } from '../route.ts';
import type { Sale } from '../sales/sale.ts';
import type { CheckoutBody, LockBody } from '../schemas/requests.ts';
import { findSale, isSale } from './find-sale.ts';
import type { Services } from './services.ts';

/** Told how each request that reached the script, or nearly, ended. */
export type CheckoutObserver = (
  outcome: Exclude<ReserveOutcome['kind'], 'accepted'> | 'accepted' | 'replayed' | 'not_found',
  seconds: number,
) => void;

export type CheckoutServices = Pick<Services, 'sales' | 'reserve' | 'paused' | 'findReservation'>;

export function checkoutHandlers(
  services: CheckoutServices,
  told: { observe: CheckoutObserver; pausedRefused: () => void },
) {
  const { sales, paused, findReservation } = services;
  const { observe } = told;

  const checkout: Handler<CheckoutBody> = (context) => {
    const { body } = context;
    const road = {
      target: 'POST /v1/checkout',
      road: 'checkout',
      payment_method: body.payment_method,
      shipping_address: body.shipping_address,
    } as const;
    const sale = findSale(sales, context.caller.tenant, body.sale_id);
    return sale instanceof Promise
      ? sale.then((found) => (isSale(found) ? take(found, context, road) : found))
      : take(sale, context, road);
  };

  const lock: Handler<LockBody> = async (context) => {
    const road = {
      target: 'POST /v1/inventory/lock',
      road: 'lock',
      payment_method: null,
      shipping_address: null,
    } as const;
    const sale = await findSale(sales, context.caller.tenant, context.body.sale_id);
    return isSale(sale) ? take(sale, context, road) : sale;
  };

  function take(
    sale: Sale,
    { caller, key, body }: Context<CheckoutBody | LockBody>,
    road: Pick<ReserveRequest, 'road' | 'payment_method' | 'shipping_address'> & { target: string },
  ): Promise<Reply> {
    const request: ReserveRequest = {
      sale,
      buyer: caller.sub,
      key,
      fingerprint: () => requestFingerprint(road.target, body),
      road: road.road,
      lines: body.items,
      payment_method: road.payment_method,
      shipping_address: road.shipping_address,
      contact: body.contact ?? caller.contact,
    };
    const left_ms = paused.leftMs(sale.salt, caller.sub);
    return left_ms > 0 ? againOnly(request, left_ms) : reserve(request);
  }

  function reserve(request: ReserveRequest): Promise<Reply> {
    const started_ms = performance.now();
    return services.reserve(request).then((outcome) => {
      const what = outcome.kind === 'accepted' && outcome.replayed ? 'replayed' : outcome.kind;
      observe(what, (performance.now() - started_ms) / 1000);
      return reserveReply(outcome);
    });
  }

  /** For who has to pause: what was taken before is told again, and nothing new is taken. */
  async function againOnly(request: ReserveRequest, left_ms: number): Promise<Reply> {
    const { sale, buyer, key } = request;
    const hash = requestHash(sale.salt, sale.tenant, sale.id, buyer, key);
    // The day by the Redis clock may be tomorrow already.
    const today = dayOf(Date.now());
    const days = Array.from({ length: RECORD_WINDOW_DAYS + 1 }, (_, i) => today + 1 - i);
    for (const day of days) {
      const order_id = encodeOrderId({ route: sale.route, day, hash });
      const found = await findReservation(order_id, sale.tenant, buyer);
      if (found.kind === 'found') return reserve(request);
      if (found.kind === 'unavailable') return refuse('unavailable');
    }
    told.pausedRefused();
    return pauseRefusal(left_ms);
  }

  return { checkout, lock };
}

function pauseRefusal(left_ms: number): Refusal {
  const minutes = Math.ceil(left_ms / 60_000);
  return refuse('rate_limited', {
    detail: `Too many of your reservations in this sale ran out unpaid. You can buy again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`,
    retry_after_seconds: Math.ceil(left_ms / 1000),
  });
}

/** The core's words as HTTP. */
export function reserveReply(outcome: ReserveOutcome): Reply {
  switch (outcome.kind) {
    case 'accepted': {
      const { reservation, replayed } = outcome;
      const headers = ['Location', `/v1/orders/${reservation.order_id}`, 'Cache-Control', 'no-store'];
      if (replayed) headers.push('Idempotent-Replayed', 'true');
      return { status: 201, body: reservationJson(reservation), content_type: JSON_TYPE, headers };
    }
    case 'sold_out':
      return refuse('sold_out', { members: { short: outcome.short } });
    case 'temporarily_held':
      return refuse('temporarily_held', {
        retry_after_seconds: Math.max(1, Math.ceil((outcome.earliest_release_ms - outcome.now_ms) / 1000)),
        members: { earliest_release_at: iso(outcome.earliest_release_ms), short: outcome.short },
      });
    case 'purchase_limit_reached':
      return refuse('purchase_limit_reached', { members: { limit: outcome.limit, held: outcome.held } });
    case 'sale_not_open':
      return refuse('sale_not_open', { members: { opens_at: iso(outcome.opens_at_ms) } });
    case 'unknown_sku':
      return refuse('unknown_sku', { members: { sku: outcome.sku } });
    case 'idempotency_key_reused':
    case 'sale_closed':
    case 'sale_paused':
    case 'unavailable':
    case 'sale_recovering':
    case 'overloaded':
      return refuse(outcome.kind);
  }
}
