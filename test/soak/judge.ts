/**
 * Judges a soak. The provider's own record is the witness of the money, apart from everything that the ledger says;
 * the ledger's books are held against their own equations. Returns what is wrong, a line each.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditOrdersById } from '../../ledger/audit-orders.ts';
import { auditWholeSale } from '../../ledger/audit-sale.ts';
import { writeCertificate } from '../../ledger/certificate/write-certificate.ts';
import type { Testimony } from '../../payments/sandbox/witness.ts';
import type { Pool } from '../../platform/postgres.ts';
import { verifyFile } from '../../verify/file.ts';
import { createFindings } from '../../verify/findings.ts';
import { PRICE } from './plan.ts';

type Row = {
  id: string;
  state: string;
  attempts: string[];
  asked: number;
  given_back: number;
  told_captured: number;
  told_back: number;
};

/** Payments under way, without those that wait for their parcel. */
export async function underWay(db: Pool): Promise<number> {
  const { rows } = await db.query<{ under_way: number }>(`
    SELECT count(*) AS under_way FROM attempts a JOIN orders o ON o.id = a.order_id
    WHERE a.unfinished AND NOT (a.state = 'authorized' AND o.state = 'confirmed')`);
  return rows[0].under_way;
}

/** Work that is left: attempts and refunds that have not come to their end, webhooks that are not settled. */
export async function leftToDo(db: Pool): Promise<number> {
  const { rows } = await db.query<{ left: number }>(`
    SELECT (SELECT count(*) FROM attempts WHERE unfinished) + (SELECT count(*) FROM refunds WHERE state = 'wanted')
      + (SELECT count(*) FROM psp_events WHERE settled_at IS NULL)
      + (SELECT count(*) FROM orders WHERE state IN ('reserved', 'authorized'))
      + (SELECT count(*) FROM shipments s JOIN orders o ON o.id = s.order_id WHERE o.state = 'confirmed') AS left`);
  return rows[0].left;
}

export async function judge(db: Pool, told: Testimony): Promise<string[]> {
  const wrong: string[] = [];
  const { rows } = await db.query<Row>(`
    SELECT o.id, o.state,
      (SELECT coalesce(array_agg(a.state), '{}') FROM attempts a WHERE a.order_id = o.id) AS attempts,
      (SELECT coalesce(sum(r.amount), 0)::bigint FROM refunds r WHERE r.order_id = o.id AND r.state = 'done') AS asked,
      (SELECT coalesce(sum(a.refunded), 0)::bigint FROM attempts a WHERE a.order_id = o.id) AS given_back,
      (SELECT count(*) FROM order_events e WHERE e.order_id = o.id AND e.cause = 'payment_captured') AS told_captured,
      (SELECT coalesce(sum((e.detail ->> 'amount')::bigint), 0)::bigint FROM order_events e
        WHERE e.order_id = o.id AND e.cause IN ('payment_refunded', 'partially_refunded')) AS told_back
    FROM orders o`);
  for (const order of rows) {
    const say = (what: string) => wrong.push(`${order.id} (${order.state}): ${what}`);
    const money = told.orders.get(order.id);
    const captured = money?.captured ?? 0;
    const refunded = money?.refunded ?? 0;
    if (money && money.unreversed_captures > 1) say('charged twice');
    if (money && money.open > 0) say('an authorization is left hanging');
    const sold = ['confirmed', 'shipped', 'delivered'].includes(order.state);
    const due = sold ? PRICE - order.asked : 0;
    if (captured - refunded !== due) say(`paid ${captured} - ${refunded}, and not ${due}`);
    if (refunded !== order.given_back)
      say(`the ledger knows of ${order.given_back} given back, and not of ${refunded}`);
    if (order.told_back !== order.given_back) say(`its history tells of ${order.told_back} given back`);
    if (order.told_captured > 1) say('its history tells of two captures');
    if (sold && !order.attempts.includes('captured')) say(`attempts ${order.attempts.join()}`);
  }
  const ids = new Set(rows.map((order) => order.id));
  // Names that were closed before anything was asked for under them carry no order.
  const unknown = [...told.orders.keys()].filter((id) => id !== '' && !ids.has(id));
  if (unknown.length > 0)
    wrong.push(`the provider knows of orders that the ledger does not: ${unknown.join()}`);
  return [...wrong, ...(await books(db)), ...(await audited(db))];
}

/** Stock: every unit is sold, or came back, once. */
async function books(db: Pool): Promise<string[]> {
  const { rows } = await db.query<Record<string, number>>(`
    SELECT s.sale_no, s.reserved, s.sold,
      (SELECT coalesce(sum(i.qty), 0)::bigint FROM orders o JOIN order_items i ON i.order_id = o.id
        WHERE o.sale_no = s.sale_no AND (o.state IN ('confirmed', 'shipped', 'delivered')
          OR (o.state = 'refunded' AND NOT o.restock))) AS should_be_sold,
      (SELECT coalesce(sum(i.qty), 0)::bigint FROM orders o JOIN order_items i ON i.order_id = o.id
        WHERE o.sale_no = s.sale_no AND (o.state IN ('expired', 'payment_failed', 'canceled')
          OR (o.state = 'refunded' AND o.restock))) AS should_be_back,
      (SELECT coalesce(sum(m.to_available), 0)::bigint FROM movements m WHERE m.sale_no = s.sale_no) AS came_back,
      (SELECT coalesce(sum(m.from_held), 0)::bigint FROM movements m WHERE m.sale_no = s.sale_no) AS left_hold,
      (SELECT count(*) FROM orders o WHERE o.sale_no = s.sale_no) AS orders
    FROM skus s`);
  return rows.flatMap((sku) => [
    ...(sku.reserved === 0 ? [] : [`sale ${sku.sale_no}: ${sku.reserved} units still reserved`]),
    ...(sku.sold === sku.should_be_sold
      ? []
      : [`sale ${sku.sale_no}: sold ${sku.sold}, not ${sku.should_be_sold}`]),
    ...(sku.came_back === sku.should_be_back
      ? []
      : [`sale ${sku.sale_no}: ${sku.came_back} units came back, not ${sku.should_be_back}`]),
    ...(sku.left_hold === sku.orders
      ? []
      : [`sale ${sku.sale_no}: ${sku.left_hold} holds ended, not ${sku.orders}`]),
  ]);
}

/** What the audit finds, and the verifier in each sale's certificate as it stands. */
async function audited(db: Pool): Promise<string[]> {
  const wrong: string[] = [];
  const { rows: orders } = await db.query<{ id: string }>('SELECT id FROM orders');
  const ids = orders.map(({ id }) => id);
  for (const { order_id, checks } of await auditOrdersById(db, ids, 3_600_000)) {
    wrong.push(`${order_id}: the audit finds ${checks.join()}`);
  }
  const { rows: sales } = await db.query<{ sale_no: number }>('SELECT sale_no FROM sales');
  const folder = mkdtempSync(join(tmpdir(), 'stampede-soak-'));
  for (const { sale_no } of sales) {
    for (const [check, { violations, examples }] of Object.entries(await auditWholeSale(db, sale_no))) {
      if (violations > 0) wrong.push(`sale ${sale_no}: the audit finds ${check} of ${examples.join()}`);
    }
    const file = join(folder, `${sale_no}.jsonl`);
    await writeCertificate({
      ...{ pool: db, sale_no },
      write: (bytes) => Promise.resolve(appendFileSync(file, bytes)),
    });
    const findings = createFindings();
    await verifyFile(file, findings);
    for (const { check, message } of findings.kept) {
      // No Redis has ever seen these sales.
      if (check !== 'gate' && check !== 'conservation') wrong.push(`sale ${sale_no}: ${check}: ${message}`);
    }
  }
  rmSync(folder, { recursive: true });
  return wrong;
}
