import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type JournalLine, journalPath, openJournal } from './journal.ts';
import type { SandboxPayment } from './payment.ts';
import { createStore } from './store.ts';
import { testimony } from './witness.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'stampede-journal-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const payment = (no: number, changes: Partial<SandboxPayment> = {}): SandboxPayment => ({
  id: `pay_${no}`,
  reference: `ref_${no}`,
  order_id: `order_${no}`,
  status: 'captured',
  amount: 100,
  captured: 100,
  refunded: 0,
  currency: 'USD',
  decline_code: null,
  created_at_ms: 1,
  late_at_ms: null,
  ...changes,
});

async function reopened(): Promise<{ lines: JournalLine[]; close(): Promise<void> }> {
  const lines: JournalLine[] = [];
  const journal = await openJournal(dir, (line) => lines.push(line));
  return { lines, close: journal.close };
}

test('lines come back whole and in order; a line torn by a crash is cut off, at whatever byte', async () => {
  const journal = await openJournal(dir, () => {});
  const told = Array.from({ length: 3 }, (_, i): JournalLine => ({ kind: 'erred', reference: `größe ${i}` }));
  for (const line of told) journal.append(line);
  await journal.close();
  const whole = statSync(journalPath(dir)).size;
  const next = Buffer.from(`${JSON.stringify({ kind: 'erred', reference: 'größe 3' })}\n`);
  for (let bytes = 1; bytes < next.length; bytes++) {
    appendFileSync(journalPath(dir), next.subarray(0, bytes));
    const { lines, close } = await reopened();
    await close();
    expect(lines).toEqual(told);
    expect(statSync(journalPath(dir)).size).toBe(whole);
  }
  appendFileSync(journalPath(dir), next);
  const { lines, close } = await reopened();
  await close();
  expect(lines).toHaveLength(4);
});

test('what is appended while a write is under way is written too', async () => {
  const journal = await openJournal(dir, () => {});
  const writes: Promise<void>[] = [];
  for (let i = 0; i < 1_000; i++) {
    journal.append({ kind: 'erred', reference: String(i) });
    writes.push(journal.written());
    if (i % 100 === 0) await writes[i];
  }
  await Promise.all(writes);
  expect(readFileSync(journalPath(dir), 'utf8').split('\n')).toHaveLength(1_001);
  await journal.close();
});

test('memory is bounded, and nothing is forgotten: old payments are found in the journal', async () => {
  const store = createStore(journalPath(dir), { payments: 100, keys: 50 });
  const journal = await openJournal(dir, store.replay);
  for (let no = 0; no < 1_000; no++) {
    const status = no === 3 ? 'authorized' : 'captured';
    const answer = { key: `key_${no}`, fingerprint: 'f' };
    store.put(journal, { at_ms: 1, payment: payment(no, { status }), answer });
  }
  await journal.written();
  expect(store.newest(10_000).length).toBeLessThanOrEqual(120);
  expect(await store.byReference('ref_3')).toMatchObject([{ status: 'authorized' }]);
  expect(await store.byReference('ref_5')).toMatchObject([{ id: 'pay_5' }]);
  expect(await store.byId('pay_7')).toMatchObject({ reference: 'ref_7' });
  expect(await store.byReference('ref_unheard_of')).toEqual([]);
  expect(store.answer('key_10', 2)).toBeUndefined();
  expect(store.answer('key_999', 2)).toMatchObject({ payment: { id: 'pay_999' } });
  expect(store.answer('key_999', 25 * 3_600_000)).toBeUndefined();
  await journal.close();
});

test('payments that are not over stay in memory, and cost no time for that', async () => {
  const store = createStore(journalPath(dir), { payments: 1_000, keys: 1_000 });
  const journal = await openJournal(dir, store.replay);
  const put = (from: number, to: number) => {
    const begun = performance.now();
    for (let no = from; no < to; no++) {
      store.put(journal, { at_ms: 1, payment: payment(no, { status: 'authorized', captured: 0 }) });
    }
    return performance.now() - begun;
  };
  put(0, 20_000);
  expect(put(20_000, 60_000)).toBeLessThan(4_000);
  expect(await store.byReference('ref_0')).toMatchObject([{ status: 'authorized' }]);
  await journal.close();
});

test('the witness counts what each order paid, and names who was charged twice', async () => {
  const journal = await openJournal(dir, () => {});
  const write = (what: SandboxPayment) => journal.append({ kind: 'payment', at_ms: 1, payment: what });
  write(payment(1, { status: 'authorized', captured: 0 }));
  write(payment(1));
  write(payment(2));
  write(payment(3, { order_id: 'order_2' }));
  write(payment(4, { status: 'refunded', refunded: 100 }));
  write(payment(5, { order_id: 'order_4' }));
  write(payment(6, { status: 'authorized', captured: 0 }));
  await journal.close();
  const told = await testimony(journalPath(dir));
  expect(told).toMatchObject({ captured: 500, refunded: 100, charged_twice: ['order_2'], open: ['order_6'] });
  expect(told.orders.get('order_4')).toMatchObject({ captures: 2, unreversed_captures: 1 });
});
