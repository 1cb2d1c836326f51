/**
 * Takes the next ids of the history into the chains of their sales, in the transaction of whoever moves the cursor: each
 * event becomes exactly one link, in the order of ids. The ids must be safe (ledger/outbox/horizon.ts): an id that
 * appeared later would be missing for ever.
 *
 * HEADS: $1 sale numbers
 * EXTEND: columns: $1 sale numbers  $2 links  $3 last ids  $4 heads
 * MARK: as EXTEND
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { chainLink, chainStart } from './history-line.ts';
import { readHistory } from './read-history.ts';

/** Where the chain stands is noted for ever about every so many links. */
export const MARK_EVERY = 1_000;

const HEADS = {
  name: 'chain_heads',
  text: `
    SELECT s.sale_no, s.tenant, s.id AS sale, coalesce(c.events, 0) AS events, coalesce(c.last_id, 0) AS last_id, c.head
    FROM sales s LEFT JOIN event_chains c USING (sale_no)
    WHERE s.sale_no = ANY ($1::bigint[]) ORDER BY s.sale_no`,
};

const EXTEND = {
  name: 'chain_extend',
  text: `
    INSERT INTO event_chains (sale_no, events, last_id, head)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
    ON CONFLICT (sale_no) DO UPDATE
      SET events = excluded.events, last_id = excluded.last_id, head = excluded.head, updated_at = now()`,
};

const MARK = {
  name: 'chain_mark',
  text: `
    INSERT INTO event_chain_marks (sale_no, events, last_id, head)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])`,
};

type Head = {
  sale_no: number;
  tenant: string;
  sale: string;
  events: number;
  last_id: number;
  head: Buffer | null;
};

export type Extended = { links: number; order_ids: ReadonlySet<string> };

export async function extendChains(tx: Queryable, range: { after: number; upto: number }): Promise<Extended> {
  const lines = await readHistory(tx, range);
  const order_ids = new Set<string>();
  if (lines.length === 0) return { links: 0, order_ids };
  const chains = new Map<number, Head & { before: number }>();
  const sale_nos = [...new Set(lines.map((line) => line.sale_no))];
  for (const head of await rows<Head>(tx, HEADS, [sale_nos])) {
    chains.set(head.sale_no, { ...head, before: head.events });
  }
  for (const { id, sale_no, order_id, line } of lines) {
    const chain = chains.get(sale_no);
    if (!chain) throw new Error(`event ${id} is of sale ${sale_no}, which is not there`);
    if (id <= chain.last_id) throw new Error(`event ${id} is in the chain of sale ${sale_no} already`);
    chain.head = chainLink(chain.head ?? chainStart(chain.tenant, chain.sale), line);
    chain.events += 1;
    chain.last_id = id;
    if (order_id !== null) order_ids.add(order_id);
  }
  const all = [...chains.values()];
  await rows(tx, EXTEND, columns(all));
  const marked = all.filter((c) => Math.floor(c.events / MARK_EVERY) > Math.floor(c.before / MARK_EVERY));
  if (marked.length > 0) await rows(tx, MARK, columns(marked));
  return { links: lines.length, order_ids };
}

function columns(chains: readonly Head[]): unknown[] {
  return [
    chains.map((c) => c.sale_no),
    chains.map((c) => c.events),
    chains.map((c) => c.last_id),
    chains.map((c) => c.head),
  ];
}
