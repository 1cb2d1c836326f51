/** Certificates of real sales, and what is done to them: by file, and in the ledger. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failOrders } from '../ledger/orders/fail-orders.ts';
import { wantRebuild } from '../ledger/rebuild/begin-rebuild.ts';
import { connect } from '../lua/testing/sale.ts';
import type { Pool } from '../platform/postgres.ts';
import { setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { asLedgerRole } from '../test/support/postgres.ts';
import { type Rig, rig } from '../test/support/reconciler.ts';
import { testRedis } from '../test/support/redis.ts';
import { verifyFile } from './file.ts';
import { createFindings } from './findings.ts';
import { verifyLedger } from './ledger.ts';
import { type CertificateFile, certificateOf, chainUp, closedSale } from './testing/closed-sale.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
let sale: Rig;
let file: CertificateFile;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
  sale = await closedSale({ db, redis });
  file = await certificateOf(db, sale.sale_no);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

async function byFile(path: string, public_key?: string) {
  const findings = createFindings();
  const result = await verifyFile(path, findings, { public_key });
  return { ...result, checks: [...findings.counts.keys()], said: findings.kept.map((f) => f.message) };
}

test('a sale that has seen everything is certified, and the file alone proves it', async () => {
  const told = await byFile(file.path);
  expect(told.said).toEqual([]);
  expect(told).toMatchObject({ orders: 8, signed_by: null, claim: { interim: false, balanced: true } });
});

async function byLedger(path: string) {
  const findings = createFindings();
  const { claim } = await verifyFile(path, findings);
  const client = new pg.Client({ connectionString: asLedgerRole(ledger.url, 'auditor') });
  await client.connect();
  try {
    const { events_since } = await verifyLedger(client, path, claim!, findings);
    return { events_since, checks: [...findings.counts.keys()], said: findings.kept.map((f) => f.message) };
  } finally {
    await client.end();
  }
}

test('the ledger says the same', async () => {
  expect(await byLedger(file.path)).toEqual({ events_since: 0, checks: [], said: [] });
});

test('nothing in this folder is of the product', () => {
  const folder = new URL('.', import.meta.url);
  for (const name of readdirSync(folder).filter((file) => /(?<!\.test)\.ts$/.test(file))) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const from = [...text.matchAll(/(?:from |import\()'([^']+)'/g)].map((match) => match[1]);
    expect(from.filter((module) => !/^(node:[a-z/]+|pg|\.\/[a-z-]+\.ts)$/.test(module))).toEqual([]);
  }
});

type Line = Record<string, unknown> & { facts?: Record<string, unknown> };

/** The file with lines changed, closed anew with the right number of lines and hash, as who knows the format would. */
function forged(change: (lines: string[]) => string[]): string {
  const lines = change(file.lines().slice(0, -1));
  const sha256 = createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');
  return file.write([
    ...lines,
    JSON.stringify({ kind: 'end', lines: lines.length, sha256, signature: null }),
  ]);
}

/** Changes the first line that is meant. */
function changed(
  lines: readonly string[],
  meant: (line: Line) => boolean,
  change: (line: Line) => void,
): string[] {
  const at = lines.findIndex((line) => meant(JSON.parse(line) as Line));
  expect(at).toBeGreaterThanOrEqual(0);
  const line = JSON.parse(lines[at]) as Line;
  change(line);
  return lines.with(at, JSON.stringify(line));
}

/** The same, with the chain computed anew over whatever the history is now. */
function rechained(lines: readonly string[]): string[] {
  const claim = JSON.parse(lines[0]) as { tenant: string; sale: string; history: Record<string, unknown> };
  let head = createHash('sha256')
    .update(`stampede history 1\n${JSON.stringify([claim.tenant, claim.sale])}`)
    .digest();
  let events = 0;
  for (const line of lines.slice(1)) {
    if (line.startsWith('{"kind":"unchained"')) break;
    head = createHash('sha256').update(head).update(line).digest();
    events += 1;
    claim.history.last_id = (JSON.parse(line) as { id: number }).id;
  }
  Object.assign(claim.history, { events, head: head.toString('hex') });
  return [JSON.stringify(claim), ...lines.slice(1)];
}

const first = (line: Line) => line.kind === 'event' && line.from === null;
const claimOf = (line: Line) => line.kind === 'certificate';
const drop = (lines: readonly string[], at: number) => lines.toSpliced(at, 1);
const nth = (lines: readonly string[], meant: (line: Line) => boolean) =>
  lines.findIndex((line) => meant(JSON.parse(line) as Line));

describe('what is done to a file', () => {
  test.each<[string, (lines: string[]) => string[], string]>([
    ['an amount is changed', (l) => changed(l, first, (e) => (e.facts!.total = 1)), 'chain'],
    [
      'an event is dropped',
      (l) =>
        drop(
          l,
          nth(l, (e) => e.to === 'delivered'),
        ),
      'chain',
    ],
    ['two events are swapped', (l) => l.with(5, l[6]).with(6, l[5]), 'chain'],
    [
      'an order is added',
      (l) => l.toSpliced(9, 0, l[nth(l, first)].replace(/"order":"../, '"order":"zz')),
      'chain',
    ],
    [
      'a total is changed',
      (l) => changed(l, claimOf, (c) => ((c.skus as { sold: number }[])[0].sold += 1)),
      'totals',
    ],
    [
      'a count of orders is changed',
      (l) => changed(l, claimOf, (c) => ((c.orders as { orders: number }[])[0].orders += 1)),
      'totals',
    ],
    [
      'money is changed',
      (l) => changed(l, claimOf, (c) => ((c.payments as { amount: number }[])[0].amount += 1)),
      'totals',
    ],
    [
      'stock is changed',
      (l) => changed(l, claimOf, (c) => ((c.skus as { available: number }[])[0].available += 1)),
      'conservation',
    ],
    [
      'a movement is dropped',
      (l) =>
        drop(
          l,
          nth(l, (m) => m.kind === 'movement' && m.cause === 'released'),
        ),
      'returns',
    ],
    [
      'a movement is doubled',
      (l) =>
        l.toSpliced(
          nth(l, (m) => m.kind === 'movement'),
          0,
          l[nth(l, (m) => m.kind === 'movement')],
        ),
      'returns',
    ],
    [
      'a request is dropped',
      (l) =>
        drop(
          l,
          nth(l, (r) => r.request === 'topup'),
        ),
      'stock',
    ],
    [
      'a payment is dropped',
      (l) =>
        drop(
          l,
          nth(l, (a) => a.kind === 'attempt' && a.state === 'captured'),
        ),
      'money',
    ],
    [
      'a payment is not wanted back',
      (l) =>
        changed(
          l,
          (a) => a.kind === 'attempt' && a.state === 'refunded',
          (a) => (a.state = 'captured'),
        ),
      'money',
    ],
    ['the limit is lowered', (l) => changed(l, claimOf, (c) => (c.limit_per_buyer = 3)), 'limits'],
    ['it calls itself final', (l) => changed(l, claimOf, (c) => (c.gate = 'open')), 'final'],
    ['a line is of no kind', (l) => [...l, '{"kind":"gift"}'], 'format'],
    ['sections are swapped', (l) => [l[0], ...l.slice(1).reverse()], 'format'],
  ])('%s', async (_, change, check) => {
    expect((await byFile(forged(change))).checks).toContain(check);
  });

  test.each<[string, (lines: string[]) => string[], string]>([
    ['an amount is changed', (l) => changed(l, first, (e) => (e.facts!.total = 1)), 'orders'],
    [
      'an event is dropped',
      (l) =>
        drop(
          l,
          nth(l, (e) => e.to === 'shipped'),
        ),
      'orders',
    ],
    ['two events are swapped', (l) => l.with(5, l[6]).with(6, l[5]), 'chain'],
    [
      'an order is added',
      (l) =>
        l.toSpliced(
          nth(l, first) + 1,
          0,
          JSON.stringify({
            ...(JSON.parse(l[nth(l, first)]) as Line),
            order: 'zz',
            id: (JSON.parse(l[nth(l, first)]) as { id: number }).id + 0.5,
          }),
        ),
      'format',
    ],
    [
      'a gate was closed all the time',
      (l) =>
        changed(
          l,
          (g) => g.kind === 'gate',
          (g) => (g.gate = 'paused'),
        ),
      'gate',
    ],
    [
      'units came from nowhere',
      (l) =>
        changed(
          l,
          (t) => t.kind === 'topup',
          (t) => {
            t.change = 8;
            t.total = 28;
          },
        ),
      'stock',
    ],
    [
      'a capture is more than the order',
      (l) =>
        changed(
          l,
          (e) => e.cause === 'payment_captured',
          (e) => ((e.detail as { amount: number }).amount += 5),
        ),
      'money',
    ],
    [
      'goods went back on sale, and did not',
      (l) =>
        changed(
          l,
          (e) => e.restock === true,
          (e) => (e.restock = false),
        ),
      'returns',
    ],
  ])('%s, and the chain is forged too', async (_, change, check) => {
    expect((await byFile(forged((lines) => rechained(change(lines))))).checks).toContain(check);
  });

  test('it is cut off, anywhere', async () => {
    const whole = readFileSync(file.path);
    for (let cut = 0; cut < whole.length; cut += 97) {
      const path = file.write([]);
      writeFileSync(path, whole.subarray(0, cut));
      expect([cut, (await byFile(path)).checks]).toEqual([cut, expect.arrayContaining(['format'])]);
    }
  });

  test('any byte is changed', async () => {
    const whole = readFileSync(file.path);
    const path = file.write([]);
    for (let at = 0; at < whole.length; at += 41) {
      const other = Buffer.from(whole);
      other[at] ^= 1;
      writeFileSync(path, other);
      expect([at, (await byFile(path)).checks.length]).not.toEqual([at, 0]);
    }
  });

  test('something is written behind its end', async () => {
    expect((await byFile(file.write([...file.lines(), '{}']))).checks).toEqual(['format']);
  });
});

describe('a key', () => {
  const pair = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
      public_key: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    };
  };

  test('that signed is told, and the right one is believed', async () => {
    const { key, public_key } = pair();
    const { path } = await certificateOf(db, sale.sale_no, key);
    expect(await byFile(path, public_key)).toMatchObject({ checks: [], signed_by: public_key });
    expect((await byFile(path, pair().public_key)).checks).toEqual(['signature']);
    expect((await byFile(file.path, public_key)).checks).toEqual(['signature']);
  });

  test('signed other bytes', async () => {
    const { key } = pair();
    const signed = await certificateOf(db, sale.sale_no, key);
    const end = JSON.parse(signed.lines().at(-1)!) as { signature: { value: string } };
    end.signature.value = end.signature.value.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'));
    const path = signed.write([...signed.lines().slice(0, -1), JSON.stringify(end)]);
    expect((await byFile(path)).checks).toEqual(['signature']);
  });
});

describe('what is done in the ledger', () => {
  /** Carries out `sql` without any trigger, verifies, and undoes it. */
  async function doing(...sql: string[]): Promise<string[]> {
    const findings = createFindings();
    const { claim } = await verifyFile(file.path, findings);
    const client = new pg.Client({ connectionString: ledger.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query(`SET LOCAL session_replication_role = replica; SET LOCAL TimeZone = 'UTC'`);
      for (const one of sql) {
        const { rowCount } = await client.query(one.replaceAll('$sale', String(sale.sale_no)));
        expect([one, rowCount]).not.toEqual([one, 0]);
      }
      // Its own snapshot would not see what is not committed.
      const inside = {
        query: (text: string, values?: unknown[]) =>
          /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve() : client.query(text, values),
      };
      await verifyLedger(inside as unknown as pg.Client, file.path, claim!, findings);
      return findings.kept.map(({ message }) => message);
    } finally {
      await client.query('ROLLBACK');
      await client.end();
    }
  }

  const ONE = `(SELECT min(id) FROM orders WHERE sale_no = $sale AND state = 'confirmed')`;
  const EVENT = `(SELECT max(e.id) FROM order_events e JOIN orders o ON o.id = e.order_id WHERE o.sale_no = $sale AND e.to_state = 'delivered')`;

  const COLUMNS = [
    ...[
      'tenant',
      'buyer',
      'buyer_hash',
      'fingerprint',
      'road',
      'currency',
      'subtotal',
      'discount',
      'shipping',
      'tax',
    ],
    ...['total', 'reserved_at', 'first_expires_at', 'expires_at', 'seq', 'cause', 'actor'],
  ].join(', ');
  const addedAs = (state: string) =>
    `INSERT INTO orders (id, sale_no, state, limit_units, ${COLUMNS})
     SELECT 'made-up', sale_no, '${state}', 0, ${COLUMNS} FROM orders WHERE id = ${ONE}`;

  test('nothing', async () => {
    expect(await doing('SELECT 1')).toEqual([]);
  });

  test.each<[string, string[], RegExp]>([
    [
      'an amount is changed',
      [`UPDATE orders SET subtotal = 1, total = 1 WHERE id = ${ONE}`],
      /not as it was certified/,
    ],
    [
      'a quantity is changed',
      [`UPDATE order_items SET qty = 2 WHERE order_id = ${ONE}`],
      /not as it was certified/,
    ],
    [
      'a buyer is changed',
      [`UPDATE orders SET buyer_hash = '\\x00' WHERE id = ${ONE}`],
      /not as it was certified/,
    ],
    ['an event is dropped', [`DELETE FROM order_events WHERE id = ${EVENT}`], /not as it was certified/],
    [
      'the last event is dropped',
      [`DELETE FROM sale_events WHERE id = (SELECT max(id) FROM sale_events WHERE sale_no = $sale)`],
      /lacks an event/,
    ],
    [
      'two events are swapped',
      [`UPDATE order_events SET at = at - interval '1 second' WHERE id = ${EVENT}`],
      /not as it was certified/,
    ],
    [
      'whoever did it is changed',
      [`UPDATE order_events SET actor = 'nobody' WHERE id = ${EVENT}`],
      /not as it was certified/,
    ],
    [
      'a state is changed',
      [`UPDATE orders SET state = 'delivered' WHERE id = ${ONE}`],
      /not where its history/,
    ],
    [
      'an order is added',
      [
        addedAs('confirmed'),
        `INSERT INTO order_events (order_id, to_state, cause, actor) VALUES ('made-up', 'confirmed', 'test', 'test')`,
      ],
      /counters|paid|payments/,
    ],
    [
      'an order is added into the past',
      [
        addedAs('canceled'),
        `INSERT INTO order_events (id, order_id, to_state, cause, actor) OVERRIDING SYSTEM VALUE VALUES (-1, 'made-up', 'canceled', 'test', 'test')`,
      ],
      /chain has/,
    ],
    [
      'stock is made up',
      [`UPDATE skus SET total = total + 5 WHERE sale_no = $sale AND sku = 'a'`],
      /conservation|nobody asked/,
    ],
    [
      'stock is made up so that the equation holds',
      [
        `UPDATE skus SET total = total + 5, told_available = told_available + 5 WHERE sale_no = $sale AND sku = 'a'`,
        `INSERT INTO movements (sale_no, sku, to_available, from_held, cause, n) VALUES ($sale, 'a', 5, 0, 'topup', 1)`,
        `INSERT INTO sale_events (sale_no, kind, sku, change, total) VALUES ($sale, 'topup', 'a', 5, 32)`,
      ],
      /nobody asked/,
    ],
    [
      'stock goes back twice',
      [
        `INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, n) VALUES ($sale, ${ONE}, 'a', 1, 0, 1)`,
      ],
      /gave back/,
    ],
    [
      'stock does not go back',
      [`DELETE FROM movements WHERE sale_no = $sale AND to_available > 0 AND order_id IS NOT NULL`],
      /gave back/,
    ],
    [
      'a counter is changed',
      [`UPDATE skus SET sold = sold + 1 WHERE sale_no = $sale AND sku = 'a'`],
      /counters/,
    ],
    ['money goes', [`UPDATE attempts SET state = 'voided' WHERE order_id = ${ONE}`], /goods and money/],
    ['money is changed', [`UPDATE attempts SET amount = 1 WHERE order_id = ${ONE}`], /goods and money/],
    [
      'the chain is changed',
      [`UPDATE event_chains SET head = sha256('x') WHERE sale_no = $sale`],
      /chain it keeps/,
    ],
    ['the sale is gone', [`UPDATE sales SET id = 'another' WHERE sale_no = $sale`], /no sale/],
  ])('%s', async (_, sql, said) => {
    expect((await doing(...sql)).join('\n')).toMatch(said);
  });

  test('what comes afterwards is counted, and the chain goes on over it', async () => {
    const { rows } = await db.query({
      text: `UPDATE orders SET state = 'shipped', cause = 'test', actor = 'test' WHERE sale_no = $1 AND state = 'confirmed' RETURNING id`,
      values: [sale.sale_no],
    });
    expect(await byLedger(file.path)).toEqual({ events_since: rows.length, checks: [], said: [] });
    await chainUp(db);
    expect(await byLedger(file.path)).toEqual({ events_since: rows.length, checks: [], said: [] });
    expect((await byFile((await certificateOf(db, sale.sale_no)).path)).said).toEqual([]);
  });
});

test('a sale that was rebuilt in the middle is certified like any other', async () => {
  const rebuilt = await closedSale({ db, redis }, async (one) => {
    await wantRebuild(db, one.sale_no, { reason: 'operator', actor: 'test' });
    one.follower.lookAgain();
    await one.settle();
  });
  expect((await rebuilt.sale()).generation).toBe(2);
  const { path } = await certificateOf(db, rebuilt.sale_no);
  expect(await byFile(path)).toMatchObject({ said: [], claim: { missing: [], interim: false } });
  expect(await byLedger(path)).toEqual({ events_since: 0, checks: [], said: [] });
});

test('a sale in full swing is certified as it stands, and says what is missing', async () => {
  const open = await rig({ db, redis, limit: 3 });
  await open.settle();
  const { order_ids } = await open.reserve([{ buyer: 'x' }, { buyer: 'y' }]);
  await open.settle();
  await failOrders(db, order_ids.slice(1), { cause: 'test', actor: 'test' });
  const { path } = await certificateOf(db, open.sale_no);
  expect(await byFile(path)).toMatchObject({
    said: [],
    claim: {
      interim: true,
      missing: ['not_closed', 'movements_under_way', 'orders_held', 'history_not_chained'],
    },
  });
  expect(await byLedger(path)).toMatchObject({ said: [] });
});
