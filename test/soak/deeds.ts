/** Orders and what people do with them, as the engine would: buyers pay, confirm, cancel, operators ship and give back. */
import { randomUUID } from 'node:crypto';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../ledger/orders/confirm-order.ts';
import { recordShipment } from '../../ledger/payments/record-shipment.ts';
import { requestRefund } from '../../ledger/payments/request-refund.ts';
import { startPayment } from '../../ledger/payments/start-payment.ts';
import { enqueueAttempts, enqueueAuthorize, enqueueRefunds } from '../../payments/jobs/enqueue.ts';
import { withTransaction } from '../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, type TestSale } from '../support/ledger.ts';
import type { Deed, PlannedOrder } from './plan.ts';
import type { World } from './world.ts';

export type SoakOrder = PlannedOrder & { id: string; buyer: string };
export type Sales = Record<PlannedOrder['sale'], TestSale>;

export async function openSales(world: World, units: number): Promise<Sales> {
  const items = [{ sku: 'a', qty: units }];
  const [at_once, on_shipment] = [
    await ledgerSale(world.db, { items }),
    await ledgerSale(world.db, { items }),
  ];
  await world.db.query({
    text: `UPDATE sales SET capture = 'on_shipment' WHERE sale_no = $1`,
    values: [on_shipment.sale_no],
  });
  return { at_once, on_shipment };
}

/** Ingests a chunk of orders: those of the checkout road with their job, the others are begun to pay by their buyers. */
export async function ingest(
  world: World,
  sales: Sales,
  plan: readonly PlannedOrder[],
): Promise<SoakOrder[]> {
  const { db } = world;
  const orders: SoakOrder[] = [];
  for (const sale of ['at_once', 'on_shipment'] as const) {
    const chunk = plan
      .filter((order) => order.sale === sale)
      .map((order) => ({ ...order, buyer: randomUUID() }));
    if (chunk.length === 0) continue;
    const ids = await ledgerOrders(
      db,
      sales[sale],
      chunk.map(({ road, left_ms, buyer }) => ({ road, left_ms, buyer, limit_units: 0 })),
    );
    await db.query({
      text: `UPDATE orders o SET payment_method = jsonb_build_object('type', 'card', 'token', t.token)
             FROM unnest($1::text[], $2::text[]) AS t (id, token) WHERE o.id = t.id AND o.road = 'checkout'`,
      values: [ids, chunk.map((order) => order.token)],
    });
    orders.push(...chunk.map((order, i) => ({ ...order, id: ids[i] })));
  }
  const checkout = orders.filter((order) => order.road === 'checkout').map((order) => order.id);
  await withTransaction(db, (tx) => enqueueAuthorize(tx, checkout));
  for (const order of orders.filter((one) => one.road === 'lock')) await pay(world, order);
  return orders;
}

async function pay({ db }: World, { id, buyer, token }: SoakOrder): Promise<void> {
  const payment_method = { type: 'card', token } as const;
  await startPayment(
    db,
    {
      ...{ tenant: 'default', buyer, order_id: id, payment_method, psp: 'sandbox' },
      ...{ extension_ms: 1_000, look_again_ms: 2_000 },
    },
    (tx, attempt) => enqueueAttempts(tx, 'saga-look', [attempt.id]),
  );
}

/** Whatever the order's state allows of it. */
export async function act(world: World, order: SoakOrder, deed: Deed): Promise<void> {
  const { db } = world;
  const mine = { tenant: 'default', order_id: order.id, buyer: order.buyer };
  switch (deed.kind) {
    case 'cancel':
      await cancelOrder(db, mine);
      return;
    case 'confirm':
      await confirmOrder(db, mine, (tx, attempts) =>
        enqueueAttempts(
          tx,
          'saga-capture',
          attempts.filter((attempt) => attempt.state === 'authorized').map(({ id }) => id),
        ),
      );
      return;
    case 'refund_all':
      await db.query({
        text: `UPDATE orders SET state = 'refunded', restock = true, cause = 'refunded_by_operator', actor = 'admin:soak',
                 updated_at = now()
               WHERE id = $1 AND state IN ('confirmed', 'shipped', 'delivered')`,
        values: [order.id],
      });
      return;
    case 'refund_part': {
      const { amount } = deed;
      const request = { tenant: 'default', order_id: order.id, key: 'soak', amount, actor: 'admin:soak' };
      await requestRefund(db, request, (tx, refund) => enqueueRefunds(tx, [refund.id]));
      return;
    }
    case 'ship':
      await recordShipment(db, { tenant: 'default', order_id: order.id, actor: 'admin:soak' }, (tx, ids) =>
        enqueueAttempts(tx, 'saga-capture', ids),
      );
      return;
    case 'decide': {
      const { rows } = await db.query<{ id: string }>({
        text: 'SELECT id FROM attempts WHERE order_id = $1',
        values: [order.id],
      });
      for (const { id: reference } of rows) {
        await world.provider.sandbox.admin('decide', { reference, approve: deed.approve }).catch(() => {});
      }
    }
  }
}
