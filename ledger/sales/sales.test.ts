import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STOCK_UNITS_MAX } from '../../domain/limits.ts';
import type { Pool } from '../../platform/postgres.ts';
import { hash16, ledgerSale, stockOf, testLedger } from '../../test/support/ledger.ts';
import { followedSale, salesExcept } from '../stream/cursor.ts';
import { createSale, type NewSale } from './create-sale.ts';
import { answerRequest } from './operator-requests.ts';
import { recordReduce } from './record-reduce.ts';
import { type GateAction, setGate } from './set-gate.ts';
import { topup } from './topup.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
});
afterAll(() => ledger.close());

const draft = (change: Partial<NewSale> = {}): NewSale => ({
  tenant: 'default',
  id: `s-${randomUUID()}`,
  currency: 'IDR',
  hold_ms: 600_000,
  limit_per_buyer: 1,
  items: [
    { sku: 'z', name: 'Zed', unit_price: 500, qty: 10 },
    { sku: 'a', name: 'Aye', unit_price: 700, qty: 20 },
  ],
  body: { items: [{ sku: 'z' }], limit: 1 },
  ...change,
});

describe('createSale', () => {
  test('makes the sale, its SKUs in the order given, and a cursor at the start', async () => {
    const sale = draft();
    const made = await createSale(db, sale);
    if (made.kind !== 'created') throw new Error(made.kind);
    expect(await followedSale(db, made.sale_no)).toMatchObject({
      tenant: 'default',
      sale: sale.id,
      currency: 'IDR',
      gate: 'open',
      gate_version: 1,
      hold_ms: 600_000,
      opens_at_ms: 0,
      closes_at_ms: 0,
      loaded: false,
      seq: 0,
      epoch: 0,
      applied_n: 0,
      sealed_n: 0,
      fenced_reason: null,
    });
    const { rows } = await db.query({
      text: 'SELECT sku, position, name, unit_price, total, told_available FROM skus WHERE sale_no = $1 ORDER BY position',
      values: [made.sale_no],
    });
    expect(rows).toEqual([
      { sku: 'z', position: 0, name: 'Zed', unit_price: 500, total: 10, told_available: 10 },
      { sku: 'a', position: 1, name: 'Aye', unit_price: 700, total: 20, told_available: 20 },
    ]);
    expect(await salesExcept(db, [])).toContain(made.sale_no);
    expect(await salesExcept(db, [made.sale_no])).not.toContain(made.sale_no);
  });

  test('a sale whose commit came after that of a greater number is found all the same', async () => {
    const late = await db.connect();
    await late.query('BEGIN');
    const { rows } = await late.query({
      text: `INSERT INTO sales (tenant, id, route, salt, currency, hold_ms, limit_per_buyer, gate, body)
        VALUES ('default', $1, $2, $3, 'USD', 1000, 1, 'open', '{}') RETURNING sale_no`,
      values: [`s-${randomUUID()}`, randomBytes(6), randomBytes(32)],
    });
    const made = await createSale(db, draft());
    const seen = await salesExcept(db, []);
    if (made.kind !== 'created') throw new Error(made.kind);
    expect(made.sale_no).toBeGreaterThan(rows[0].sale_no);
    expect(seen).toContain(made.sale_no);
    await late.query('COMMIT');
    late.release();
    expect(await salesExcept(db, seen)).toEqual([rows[0].sale_no]);
  });

  test('the same body again, or many at once, finds it; the order of its members does not matter', async () => {
    const sale = draft();
    const answers = await Promise.all(Array.from({ length: 5 }, () => createSale(db, sale)));
    expect(answers.map((a) => a.kind).sort()).toEqual(['created', 'same', 'same', 'same', 'same']);
    expect(await createSale(db, { ...sale, body: { limit: 1, items: [{ sku: 'z' }] } })).toMatchObject({
      kind: 'same',
    });
    expect(await createSale(db, { ...sale, body: { limit: 2, items: [{ sku: 'z' }] } })).toEqual({
      kind: 'conflict',
    });
    expect(await createSale(db, { ...sale, tenant: 'other', body: {} })).toMatchObject({ kind: 'created' });
  });

  test('with an opening time it is scheduled', async () => {
    const opens_at_ms = Date.now() + 3_600_000;
    const made = await createSale(db, draft({ opens_at_ms, closes_at_ms: opens_at_ms + 1 }));
    if (made.kind !== 'created') throw new Error(made.kind);
    expect(await followedSale(db, made.sale_no)).toMatchObject({
      gate: 'scheduled',
      opens_at_ms,
      closes_at_ms: opens_at_ms + 1,
    });
  });
});

describe('setGate', () => {
  const steps = async (sale: { id: string }, ...actions: GateAction[]) => {
    const seen: string[] = [];
    for (const action of actions) {
      const set = await setGate(db, 'default', sale.id, action);
      seen.push('version' in set ? `${set.kind} ${set.gate} ${set.version}` : `${set.kind}`);
    }
    return seen;
  };

  test('raises the version with each change, and with nothing else', async () => {
    const sale = await ledgerSale(db);
    expect(await steps(sale, 'open', 'pause', 'pause', 'resume', 'close', 'close')).toEqual([
      'same open 1',
      'set paused 2',
      'same paused 2',
      'set open 3',
      'set closed 4',
      'same closed 4',
    ]);
  });

  test('closing is for good', async () => {
    const sale = await ledgerSale(db);
    expect(await steps(sale, 'close', 'open', 'pause', 'resume')).toEqual([
      'set closed 2',
      'invalid_state',
      'invalid_state',
      'invalid_state',
    ]);
  });

  test('resuming before the opening time waits for it, opening does not', async () => {
    const sale = draft({ opens_at_ms: Date.now() + 3_600_000 });
    await createSale(db, sale);
    expect(await steps(sale, 'pause', 'resume', 'pause', 'open')).toEqual([
      'set paused 2',
      'set scheduled 3',
      'set paused 4',
      'set open 5',
    ]);
    expect(await setGate(db, 'default', 'nowhere', 'open')).toEqual({ kind: 'not_found' });
    expect(await setGate(db, 'other', sale.id, 'open')).toEqual({ kind: 'not_found' });
  });

  test('changes at once each have a version of their own', async () => {
    const sale = await ledgerSale(db);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => setGate(db, 'default', sale.id, i % 2 ? 'pause' : 'resume')),
    );
    const versions = answers.flatMap((a) => (a.kind === 'set' ? [a.version] : []));
    expect(new Set(versions).size).toBe(versions.length);
  });
});

describe('topup', () => {
  const request = (
    sale: { id: string },
    items: { sku: string; qty: number }[],
    key: string = randomUUID(),
  ) => ({
    tenant: 'default',
    sale: sale.id,
    key,
    fingerprint: hash16(JSON.stringify(items)),
    items,
  });

  test('adds to total and gives Redis a movement, once a key', async () => {
    const sale = await ledgerSale(db);
    const first = request(sale, [
      { sku: 'b', qty: 7 },
      { sku: 'a', qty: 5 },
    ]);
    const answers = await Promise.all(Array.from({ length: 5 }, () => topup(db, first)));
    const answer = {
      items: [
        { sku: 'a', qty: 5, total: 105 },
        { sku: 'b', qty: 7, total: 107 },
      ],
    };
    expect(answers.filter((a) => a.kind === 'done')).toEqual([{ kind: 'done', answer }]);
    expect(answers.filter((a) => a.kind === 'replay')).toEqual(Array(4).fill({ kind: 'replay', answer }));
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { total: 105 }, b: { total: 107 } });
    const { rows } = await db.query({
      text: 'SELECT sku, to_available, from_held, n FROM movements WHERE sale_no = $1 ORDER BY sku',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([
      { sku: 'a', to_available: 5, from_held: 0, n: null },
      { sku: 'b', to_available: 7, from_held: 0, n: null },
    ]);
  });

  test('refuses another request under the key, unknown SKUs, unknown sales, too much, and then adds nothing', async () => {
    const sale = await ledgerSale(db);
    const key = randomUUID();
    await topup(db, request(sale, [{ sku: 'a', qty: 1 }], key));
    expect(await topup(db, request(sale, [{ sku: 'a', qty: 2 }], key))).toEqual({ kind: 'key_reused' });
    expect(await recordReduce(db, request(sale, [{ sku: 'a', qty: 1 }], key))).toEqual({
      kind: 'key_reused',
    });
    expect(
      await topup(
        db,
        request(sale, [
          { sku: 'a', qty: 1 },
          { sku: 'x', qty: 1 },
        ]),
      ),
    ).toEqual({ kind: 'unknown_sku', sku: 'x' });
    expect(await topup(db, request(sale, [{ sku: 'a', qty: STOCK_UNITS_MAX }]))).toEqual({
      kind: 'too_many',
      sku: 'a',
    });
    expect(await topup(db, request({ id: 'nowhere' }, [{ sku: 'a', qty: 1 }]))).toEqual({
      kind: 'not_found',
    });
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { total: 101 } });
  });
});

describe('recordReduce', () => {
  test('claims the key, lets an unanswered one be tried again, and replays the answer', async () => {
    const sale = await ledgerSale(db);
    const request = { tenant: 'default', sale: sale.id, key: randomUUID(), fingerprint: hash16('reduce') };
    expect(await recordReduce(db, request)).toEqual({ kind: 'new' });
    expect(await recordReduce(db, request)).toEqual({ kind: 'new' });
    expect(await recordReduce(db, { ...request, fingerprint: hash16('other') })).toEqual({
      kind: 'key_reused',
    });
    const answer = { items: [{ sku: 'a', qty: 2 }] };
    await answerRequest(db, sale.sale_no, request.key, answer);
    await answerRequest(db, sale.sale_no, request.key, { items: [] });
    expect(await recordReduce(db, request)).toEqual({ kind: 'replay', answer });
    expect(await recordReduce(db, { ...request, sale: 'nowhere' })).toEqual({ kind: 'not_found' });
  });
});
