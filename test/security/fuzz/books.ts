/**
 * Stock, as the answers told of it: each unit that is not for sale any more must be one that a 201 acknowledged, or that
 * an operator was told to have taken out. Held against the ledger when everything has been ingested.
 */

import type { RawAnswer } from './client.ts';
import type { Operation } from './document.ts';
import { parsed } from './judge.ts';
import type { Sent } from './request.ts';
import { type Shop, STOCK, type World } from './world.ts';

type Lines = Readonly<Record<string, number>>;

export type Books = {
  heard(sent: Sent, answer: RawAnswer): void;
  /** Acknowledged so far. */
  orders(): number;
  /** What the ledger has otherwise. Waits until it has all. */
  faults(patience_ms: number): Promise<string[]>;
};

type Reservation = { order_id: string; sale_id: string; items: { sku: string; qty: number }[] };
type StockChange = {
  id: string;
  added?: { sku: string; qty: number }[];
  taken?: { sku: string; qty: number }[];
};

/** `sale`: the books of this one alone, which nobody has bought from yet. */
export function openBooks(world: World, sale?: string): Books {
  const { shop, db } = world;
  const sales = sale === undefined ? [...shop.sales, ...shop.gated] : [sale];
  const acknowledged = new Map<string, { sale: string; lines: Lines }>();
  const changes = new Map<string, { sale: string; sign: 1 | -1; lines: Lines }>();
  if (sale === undefined)
    for (const { id } of shop.orders) acknowledged.set(id, { sale: '', lines: { a: 1 } });

  async function ordersOf(): Promise<Map<string, Lines>> {
    const { rows } = await db.query(
      `SELECT o.id, json_object_agg(i.sku, i.qty) AS lines
         FROM orders o JOIN order_items i ON i.order_id = o.id JOIN sales s USING (sale_no)
        WHERE o.tenant = $1 AND ($2::text IS NULL OR s.id = $2) GROUP BY o.id`,
      [shop.tenant, sale ?? null],
    );
    return new Map(rows.map(({ id, lines }) => [id, lines]));
  }

  /** `total` of each SKU of the sales that were there from the beginning, and what it should be. */
  async function totalFaults(): Promise<string[]> {
    const { rows } = await db.query(
      `SELECT s.id, k.sku, k.total::int FROM skus k JOIN sales s USING (sale_no) WHERE s.tenant = $1 AND s.id = ANY($2)`,
      [shop.tenant, sales],
    );
    return rows.flatMap(({ id, sku, total }) => {
      let wanted = STOCK[sku];
      for (const change of changes.values())
        if (change.sale === id) wanted += change.sign * (change.lines[sku] ?? 0);
      return total === wanted ? [] : [`${id} ${sku}: total ${total}, by the answers ${wanted}`];
    });
  }

  async function auditFaults(of: Shop): Promise<string[]> {
    const faults: string[] = [];
    for (const sale of [...of.sales, ...of.gated, of.twin]) {
      const response = await fetch(`${world.url}/v1/admin/sales/${sale}/audit`, {
        headers: { authorization: `Bearer ${of.token('operator', 'admin')}` },
      });
      const audit = (await response.json()) as { balanced: boolean; live: { kind: string } };
      if (!audit.balanced || audit.live.kind !== 'agrees') faults.push(`${sale}: ${JSON.stringify(audit)}`);
    }
    return faults;
  }

  async function orderFaults(): Promise<string[]> {
    const known = await ordersOf();
    const faults: string[] = [];
    for (const [id, { lines }] of acknowledged) {
      const have = known.get(id);
      if (!have) faults.push(`order ${id} was acknowledged, and the ledger does not have it`);
      else if (inOrder(have) !== inOrder(lines))
        faults.push(`order ${id}: ${inOrder(have)}, told ${inOrder(lines)}`);
    }
    for (const id of known.keys())
      if (!acknowledged.has(id)) faults.push(`order ${id} was acknowledged to nobody`);
    return faults;
  }

  return {
    heard(sent, { status, headers, text }) {
      if (status !== 200 && status !== 201) return;
      if (!/"(order_id|added|taken)"/.test(text)) return;
      const body = parsed(text) as Partial<Reservation> & StockChange;
      if (status === 201 && body.order_id && body.items) {
        acknowledged.set(body.order_id, { sale: body.sale_id ?? '', lines: linesOf(body.items) });
      }
      const moved = body.added ?? body.taken;
      if (!moved) return;
      const key = keyOf(sent);
      const name = `${body.added ? 'topup' : 'reduce'} ${body.id} ${key}`;
      if (changes.has(name) && headers.get('idempotent-replayed') !== 'true')
        changes.set(`${name} again`, wrong(name));
      else changes.set(name, { sale: body.id, sign: body.added ? 1 : -1, lines: linesOf(moved) });
    },
    orders: () => acknowledged.size,
    async faults(patience_ms) {
      const until = performance.now() + patience_ms;
      for (;;) {
        const faults = [
          ...(await orderFaults()),
          ...(await totalFaults()),
          ...(await auditFaults(shop)),
          ...(await auditFaults(world.stranger)),
        ];
        if (faults.length === 0 || performance.now() > until) return faults;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
  };
}

const wrong = (sale: string) => ({ sale: `${sale} took effect twice`, sign: 1 as const, lines: {} });

function linesOf(items: readonly { sku: string; qty: number }[]): Lines {
  const lines: Record<string, number> = {};
  for (const { sku, qty } of items) lines[sku] = (lines[sku] ?? 0) + qty;
  return lines;
}

const inOrder = (lines: Lines): string =>
  Object.keys(lines)
    .filter((sku) => lines[sku] !== 0)
    .sort()
    .map((sku) => `${sku}:${lines[sku]}`)
    .join(' ');

const keyOf = ({ headers }: Sent): string =>
  (headers.find(([name]) => name === 'Idempotency-Key')?.[1] ?? '').replace(/^"(.*)"$/, '$1');

/** May a request of it take stock, so that it has to be asked again if nothing was heard? */
export const takesStock = ({ id }: Operation): boolean =>
  ['checkout', 'lock', 'topup', 'reduce'].includes(id);

/** Everything that the ledger has of a shop that nobody asking had a token of. */
export async function holdingsOf({ db }: World, { tenant }: Shop): Promise<string> {
  const { rows } = await db.query(
    `SELECT json_build_array(
       (SELECT json_agg(s ORDER BY s.id) FROM sales s WHERE tenant = $1),
       (SELECT json_agg(k ORDER BY k.sale_no, k.sku) FROM skus k JOIN sales s USING (sale_no) WHERE s.tenant = $1),
       (SELECT json_agg((o.id, o.state, o.buyer) ORDER BY o.id) FROM orders o WHERE tenant = $1),
       (SELECT json_agg(w ORDER BY w.id) FROM webhook_endpoints w WHERE tenant = $1)
     )::text AS all`,
    [tenant],
  );
  return rows[0].all;
}
