/**
 * A certificate against the ledger as it is today: event by event, in one snapshot, by SQL of its own. Then the ledger's
 * books against each other, so that what was changed in it since, or made up in it, shows as well.
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { HISTORY_KINDS } from './books.ts';
import type { Claim } from './certificate.ts';
import type { Findings } from './findings.ts';
import { BOOKS } from './ledger-books.ts';
import { readLines } from './lines.ts';

const IDS_A_PAGE = 20_000;

export type LedgerResult = {
  /** Events of the sale that have come since the certificate was made. */
  events_since: number;
};

type Client = Pick<pg.Client, 'query'>;

export async function verifyLedger(
  client: Client,
  path: string,
  claim: Claim,
  findings: Findings,
): Promise<LedgerResult> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  try {
    await client.query(`SET LOCAL statement_timeout = 0; SET LOCAL TimeZone = 'UTC'`);
    const { rows: sales } = await client.query<{ sale_no: string }>(
      'SELECT sale_no::text AS sale_no FROM sales WHERE tenant = $1 AND id = $2',
      [claim.tenant, claim.sale],
    );
    if (sales.length === 0) {
      findings.add('ledger', `it has no sale ${claim.sale} of tenant ${claim.tenant}`);
      return { events_since: 0 };
    }
    const { sale_no } = sales[0];
    const events_since = await history(client, sale_no, path, claim, findings);
    for (const { message, sql } of BOOKS) {
      const { rows } = await client.query<{ what: string }>(sql, [sale_no]);
      for (const { what } of rows) findings.add('ledger', `${message}: ${what}`);
    }
    return { events_since };
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Holds the file's chained events against the ledger's, and the ledger's chain against its events. */
async function history(
  client: Client,
  sale_no: string,
  path: string,
  claim: Claim,
  findings: Findings,
): Promise<number> {
  const chain = await client.query<{ events: string; last_id: string; head: string }>(
    `SELECT events::text AS events, last_id::text AS last_id, encode(head, 'hex') AS head FROM event_chains WHERE sale_no = $1`,
    [sale_no],
  );
  const marks = new Map(
    (
      await client.query<{ events: string; head: string }>(
        `SELECT events::text AS events, encode(head, 'hex') AS head FROM event_chain_marks WHERE sale_no = $1`,
        [sale_no],
      )
    ).rows.map((row) => [Number(row.events), row.head]),
  );
  const last = Number(chain.rows[0]?.last_id ?? 0);
  const file = chained(path);
  let head = createHash('sha256')
    .update(`stampede history 1\n${JSON.stringify([claim.tenant, claim.sale])}`)
    .digest();
  let events = 0;
  let differs = false;
  for await (const { id, line } of ledgerLines(client, sale_no, Math.max(last, claim.last_id))) {
    const bytes = Buffer.from(line, 'utf8');
    if (id <= claim.last_id && !differs) {
      const { value } = await file.next();
      if (!value?.bytes.equals(bytes)) {
        differs = true;
        const theirs = value ? value.bytes.toString('utf8') : 'nothing';
        findings.add(
          'ledger',
          `event ${id} is not as it was certified. Ledger: ${short(line)} File: ${short(theirs)}`,
          value?.no,
        );
      }
    }
    if (id > last) continue;
    events += 1;
    head = createHash('sha256').update(head).update(bytes).digest();
    const mark = marks.get(events);
    if (mark !== undefined && mark !== head.toString('hex')) {
      findings.add('ledger', `its history was changed before link ${events}: the chain does not lead there`);
      marks.clear();
    }
  }
  if (!differs) {
    const { value } = await file.next();
    if (value)
      findings.add(
        'ledger',
        `it lacks an event that was certified: ${short(value.bytes.toString('utf8'))}`,
        value.no,
      );
  }
  await file.return?.(undefined);
  const stored = chain.rows[0];
  if (stored && (stored.head !== head.toString('hex') || Number(stored.events) !== events))
    findings.add('ledger', 'the chain it keeps is not the one over its events');
  if (last < claim.last_id)
    findings.add('ledger', `its chain ends at event ${last}, before the certificate's end`);
  const { rows: late } = await client.query<{ events: string }>(LATE, [sale_no, claim.last_id]);
  return Number(late[0].events);
}

const short = (line: string): string => (line.length > 300 ? `${line.slice(0, 300)}...` : line);

async function* chained(path: string): AsyncGenerator<{ bytes: Buffer; no: number }> {
  let no = 0;
  for await (const { bytes } of readLines(path)) {
    no += 1;
    const kind = /^\{"kind":"([a-z]+)"/.exec(bytes.subarray(0, 40).toString('latin1'))?.[1] ?? '';
    if (kind === 'unchained') return;
    if (HISTORY_KINDS.includes(kind)) yield { bytes, no };
  }
}

const LATE = `
  SELECT (SELECT count(*) FROM orders o JOIN order_events e ON e.order_id = o.id WHERE o.sale_no = $1 AND e.id > $2)
    + (SELECT count(*) FROM sale_events WHERE sale_no = $1 AND id > $2) AS events`;

type Row = {
  id: string;
  order: string | null;
  at: string;
  from: string | null;
  to: string | null;
  cause: string | null;
  actor: string | null;
  detail: Record<string, unknown> | null;
  restock: boolean | null;
  facts: Record<string, string | number> | null;
  items: [string, number, number][] | null;
  kind: string;
  own: Record<string, string | number | null> | null;
};

/** Written anew from docs/certificate.md, on purpose: the ledger's rows as lines of a certificate. */
const LINES = `
  SELECT * FROM (
    SELECT e.id, e.order_id AS "order", to_char(e.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, e.from_state AS "from",
      e.to_state AS "to", e.cause, e.actor, e.detail,
      CASE WHEN e.to_state = 'refunded' AND e.from_state IS DISTINCT FROM e.to_state THEN o.restock END AS restock,
      CASE WHEN e.from_state IS NULL THEN json_build_object('seq', o.seq, 'buyer', encode(o.buyer_hash, 'hex'),
        'fingerprint', encode(o.fingerprint, 'hex'), 'road', o.road, 'currency', o.currency, 'subtotal', o.subtotal,
        'discount', o.discount, 'shipping', o.shipping, 'tax', o.tax, 'total', o.total,
        'reserved_at', to_char(o.reserved_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'expires_at', to_char(o.first_expires_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'limit_units', o.limit_units) END AS facts,
      CASE WHEN e.from_state IS NULL THEN (SELECT json_agg(json_build_array(i.sku, i.qty, i.unit_price) ORDER BY i.line)
        FROM order_items i WHERE i.order_id = e.order_id) END AS items,
      'event' AS kind, NULL::json AS own
    FROM order_events e JOIN orders o ON o.id = e.order_id
    WHERE e.id > $2 AND e.id <= $3 AND o.sale_no = $1
    UNION ALL
    SELECT id, NULL, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, kind,
      CASE kind WHEN 'gate' THEN json_build_object('gate', gate, 'version', gate_version, 'seq', seq)
        ELSE json_build_object('sku', sku, 'change', change, 'total', total, 'unit_price', unit_price) END
    FROM sale_events WHERE sale_no = $1 AND id > $2 AND id <= $3
  ) AS lines ORDER BY id`;

async function* ledgerLines(
  client: Client,
  sale_no: string,
  upto: number,
): AsyncGenerator<{ id: number; line: string }> {
  const { rows: starts } = await client.query<{ first: string | null }>(
    'SELECT min(id)::text AS first FROM sale_events WHERE sale_no = $1',
    [sale_no],
  );
  if (starts[0].first === null) return;
  for (let after = Number(starts[0].first) - 1; after < upto; after += IDS_A_PAGE) {
    const to = Math.min(after + IDS_A_PAGE, upto);
    const { rows } = await client.query<Row>(LINES, [sale_no, after, to]);
    for (const row of rows) yield { id: Number(row.id), line: lineOf(row) };
  }
}

function lineOf(row: Row): string {
  const id = Number(row.id);
  const parts: [string, unknown][] = [
    ['kind', row.kind],
    ['id', id],
  ];
  if (row.own) {
    parts.push(['at', row.at], ...Object.entries(row.own));
  } else {
    for (const name of ['order', 'at', 'from', 'to', 'cause', 'actor'] as const)
      parts.push([name, row[name]]);
    if (row.detail) {
      const names = Object.keys(row.detail).sort();
      parts.push(['detail', Object.fromEntries(names.map((name) => [name, row.detail?.[name]]))]);
    }
    if (row.restock !== null) parts.push(['restock', row.restock]);
    if (row.facts) parts.push(['facts', { ...row.facts, items: row.items ?? [] }]);
  }
  return `{${parts.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
}
