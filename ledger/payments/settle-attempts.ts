/**
 * What a PSP said about attempts, in bulk, and what follows for their orders, in one transaction. Webhook,
 * poll and redirect all come here. States only move forward: news that is no edge from where the attempt
 * stands changes nothing.
 *
 * LOCK: $1 attempt ids
 * SETTLE: columns of one row an attempt: $1 ids  $2 states  $3 references  $4 decline codes
 *   $5 ms until somebody looks again  $6 next actions (JSON)  $7 ms for which an authorization can be captured
 *   $8 key numbers  $9 an error was answered  $10 the provider reads nothing
 * AUTHORIZE: $1 order ids  $2 actor   CONFIRM: $1 order ids
 */
import type { AttemptState } from '../../domain/attempt-machine.ts';
import { type Queryable, rows, type Statement, together } from '../../platform/postgres.ts';
import { failOrders } from '../orders/fail-orders.ts';
import { type AttemptRow, CAPTURE_WANTED } from './attempt-row.ts';
import { closeRefunds } from './settle-refund.ts';
import { shipOrders } from './ship-orders.ts';

// Orders before attempts, in the order of their ids: everybody locks this way.
const LOCK_ORDERS_OF_ATTEMPTS = {
  name: 'lock_orders_of_attempts',
  text: `
    SELECT o.id FROM orders o
    WHERE o.id IN (SELECT order_id FROM attempts WHERE id = ANY ($1::uuid[]))
    ORDER BY o.id FOR NO KEY UPDATE`,
};

const SETTLE_ATTEMPTS = {
  name: 'settle_attempts',
  text: `
    WITH news AS MATERIALIZED (
      SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
          $8::smallint[], $9::boolean[], $10::boolean[])
        AS news (id, state, psp_ref, decline_code, look_again_ms, next_action, capture_within_ms,
          key_no, answered, absent)
    ), settled AS (
      UPDATE attempts a SET
        state = news.state,
        psp_ref = coalesce(news.psp_ref, a.psp_ref),
        decline_code = coalesce(news.decline_code, a.decline_code),
        next_action = CASE news.state
          WHEN 'pending' THEN coalesce(news.next_action::jsonb, a.next_action)
          WHEN 'unknown' THEN a.next_action
        END,
        refunded = CASE news.state WHEN 'refunded' THEN a.amount ELSE a.refunded END,
        capture_by = coalesce(a.capture_by, now() + news.capture_within_ms * interval '1 millisecond'),
        -- Of a step that goes on; another step begins with the first key.
        key_no = CASE WHEN news.state IN (a.state, 'unknown') THEN greatest(a.key_no, news.key_no) ELSE 1 END,
        erred_at = CASE
          WHEN news.key_no > a.key_no THEN CASE WHEN news.answered THEN now() END
          WHEN news.answered THEN coalesce(a.erred_at, now())
          WHEN news.state IN (a.state, 'unknown') THEN a.erred_at
        END,
        absent_at = CASE
          WHEN news.absent THEN coalesce(a.absent_at, now())
          WHEN news.state IN (a.state, 'unknown') THEN a.absent_at
        END,
        tries = CASE WHEN a.state = news.state THEN a.tries + 1 ELSE 0 END,
        -- A look that is to come anyway stays: the row's indexes then stay as they are.
        next_look_at = CASE
          WHEN a.state = 'pending' AND news.state = 'authorized' AND a.next_look_at
            BETWEEN now() + news.look_again_ms * interval '0.5 millisecond' AND now() + news.look_again_ms * interval '1 millisecond'
          THEN a.next_look_at
          ELSE now() + news.look_again_ms * interval '1 millisecond'
        END,
        updated_at = now()
      FROM news
      WHERE a.id = news.id AND (a.state = news.state OR EXISTS (
        SELECT FROM attempt_transitions t WHERE t.from_state = a.state AND t.to_state = news.state
      ))
      RETURNING a.*
    )
    SELECT a.id, a.order_id, a.state, a.reversal_wanted, o.state AS order_state, o.road, ${CAPTURE_WANTED}
    FROM settled a JOIN orders o ON o.id = a.order_id`,
};

// As the verbs in ledger/orders, for rows that are locked already.
const AUTHORIZE_LOCKED = {
  name: 'settle_authorize_orders',
  text: `
    UPDATE orders SET state = 'authorized', cause = 'payment_authorized', actor = $2, updated_at = now()
    WHERE id = ANY ($1) AND state = 'reserved' AND expires_at > (SELECT expiry_horizon())
    RETURNING id`,
};

const CONFIRM_LOCKED = {
  name: 'settle_confirm_orders',
  text: `
    UPDATE orders SET state = 'confirmed', cause = 'checkout', actor = 'saga', updated_at = now()
    WHERE id = ANY ($1) AND state = 'authorized' AND expires_at > (SELECT expiry_horizon())
    RETURNING id`,
};

export type AttemptNews = {
  id: string;
  /** What the PSP reads. The state it has already counts one try more. */
  state: AttemptState;
  psp_ref?: string | null;
  decline_code?: string | null;
  /** For `pending`: what the buyer has to do. */
  next_action?: object | null;
  /** For `authorized`: how long it can be captured, ms. */
  capture_within_ms?: number;
  /** The number of the key that a call came to nothing certain under, and whether an error was answered. */
  key_no?: number;
  answered?: boolean;
  /** The provider reads nothing under the attempt's name, and can't close it. */
  absent?: boolean;
  /** When the sweep is to look again if nothing else happens, ms from now. */
  look_again_ms: number;
  /** For `declined`: no other attempt will follow, the order fails. */
  final?: boolean;
};

export type SettledAttempt = Pick<
  AttemptRow,
  'id' | 'order_id' | 'state' | 'reversal_wanted' | 'order_state' | 'road' | 'capture_wanted'
>;

export type Settled = {
  /** The attempts whose row took the news, as they are now; others had nothing to learn from it. */
  attempts: SettledAttempt[];
  /** Orders that changed, by what they became. */
  authorized: string[];
  confirmed: string[];
  payment_failed: string[];
  shipped: string[];
};

/**
 * Money secured makes its order authorized, and on the checkout road confirmed as well; money taken ships an order
 * whose parcel is recorded; a final decline makes it payment_failed. An order that is over stays so; its money is `reversal_wanted`.
 */
export async function settleAttempts(
  tx: Queryable,
  news: readonly AttemptNews[],
  actor = 'psp',
): Promise<Settled> {
  const ids = news.map((item) => item.id);
  const columns = [
    ids,
    news.map((item) => item.state),
    news.map((item) => item.psp_ref ?? null),
    news.map((item) => item.decline_code ?? null),
    news.map((item) => item.look_again_ms),
    news.map((item) => (item.next_action ? JSON.stringify(item.next_action) : null)),
    news.map((item) => item.capture_within_ms ?? null),
    news.map((item) => item.key_no ?? null),
    news.map((item) => item.answered ?? false),
    news.map((item) => item.absent ?? false),
  ];
  const [, attempts] = await together(
    tx,
    () => rows(tx, LOCK_ORDERS_OF_ATTEMPTS, [ids]),
    () => rows<SettledAttempt>(tx, SETTLE_ATTEMPTS, columns),
  );
  const secured = attempts.filter(
    (a) => (a.state === 'authorized' || a.state === 'captured') && !a.reversal_wanted,
  );
  const final = new Set(news.filter((item) => item.final).map((item) => item.id));
  const declined = attempts.filter((a) => a.state === 'declined' && final.has(a.id));

  const authorizable = secured.filter((a) => a.order_state === 'reserved').map((a) => a.order_id);
  const checkout = new Set(secured.filter((a) => a.road === 'checkout').map((a) => a.order_id));
  const confirmable = authorizable.filter((id) => checkout.has(id));
  // What could not become authorized is no order that could be confirmed either.
  const [authorized, confirmed] = await together(
    tx,
    () => changed(tx, AUTHORIZE_LOCKED, authorizable, actor),
    () => changed(tx, CONFIRM_LOCKED, confirmable),
  );
  const failing = declined.map((a) => a.order_id);
  const payment_failed = failing.length
    ? await failOrders(tx, failing, { cause: 'payment_declined', actor })
    : [];
  const captured = attempts.filter((a) => a.state === 'captured' && a.order_state === 'confirmed');
  const shipped = captured.length
    ? await shipOrders(
        tx,
        captured.map((a) => a.order_id),
      )
    : [];
  const gone = attempts.filter((a) => a.state === 'refunded').map((a) => a.id);
  if (gone.length > 0) await closeRefunds(tx, gone);
  return { attempts, authorized, confirmed, payment_failed, shipped };
}

/** The ids of those that a statement changed. */
async function changed(
  tx: Queryable,
  statement: Statement,
  orderIds: readonly string[],
  ...more: string[]
): Promise<string[]> {
  if (orderIds.length === 0) return [];
  return (await rows<{ id: string }>(tx, statement, [orderIds, ...more])).map(({ id }) => id);
}
