import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase } from '../test/support/postgres.ts';
import { createPool, type Pool, rows, withTransaction } from './postgres.ts';
import { type CopyStatement, copyRows } from './postgres-copy.ts';

type Row = { id: number; name: string; body: unknown; bytes: Buffer; no: number; at_ms: number };

const COPY: CopyStatement<[rows: readonly Row[]]> = {
  name: 'copy_things',
  text: 'COPY things (id, name, body, bytes, no, at) FROM STDIN (FORMAT binary)',
  write(to, [all]) {
    for (const row of all) {
      to.beginRow(6);
      to.bigint(row.id);
      to.text(row.name);
      to.jsonb(row.body);
      to.bytea(row.bytes);
      to.smallint(row.no);
      to.timestamptz(row.at_ms);
    }
  },
};

const thing = (id: number, change: Partial<Row> = {}): Row => ({
  ...{ id, name: 'a', body: null, bytes: Buffer.alloc(0), no: 1, at_ms: 0 },
  ...change,
});

let db: Pool;
beforeAll(async () => {
  db = createPool({ url: await testDatabase(), max: 2, application_name: 'test', on_error: () => {} });
  await db.query(`
    CREATE TABLE things (id bigint PRIMARY KEY, name text CHECK (name <> 'forbidden'), body jsonb, bytes bytea,
      no smallint, at timestamptz)`);
});
afterAll(() => db.end());

const copy = (all: readonly Row[]) => withTransaction(db, (tx) => copyRows(tx, COPY, [all]));
const count = async () =>
  (await rows<{ n: number }>(db, { name: 'count_things', text: 'SELECT count(*) AS n FROM things' }))[0].n;

test('values come back as they were given', async () => {
  const given = [
    thing(Number.MAX_SAFE_INTEGER, { name: '', at_ms: Date.UTC(1969, 6, 20, 20, 17, 40) }),
    thing(Number.MIN_SAFE_INTEGER, {
      name: 'naïve 漢字 \u{1f6d2}',
      no: -32_768,
      bytes: Buffer.from([0, 255, 10]),
    }),
    thing(-1, { body: { text: 'ü', list: [1, null, { deep: true }] }, at_ms: 1_700_000_000_123.457 }),
    thing(2 ** 32, { body: 'text', name: 'x'.repeat(200_000), no: 32_767 }),
  ];
  expect(await copy(given)).toBe(4);
  const found = await rows<Row & { at_us: number }>(db, {
    name: 'read_things',
    text: 'SELECT id, name, body, bytes, no, (extract(epoch FROM at) * 1000000)::bigint AS at_us FROM things ORDER BY id',
  });
  const wanted = given.toSorted((a, b) => a.id - b.id);
  expect(found).toEqual(wanted.map(({ at_ms, ...row }) => ({ ...row, at_us: Math.round(at_ms * 1_000) })));
});

test('many rows go in pieces', async () => {
  const before = await count();
  const many = Array.from({ length: 5_000 }, (_, i) => thing(1_000 + i, { name: 'y'.repeat(i % 100) }));
  expect(await copy(many)).toBe(5_000);
  expect(await count()).toBe(before + 5_000);
});

test('no rows are none', async () => {
  expect(await copy([])).toBe(0);
});

test('a row that is refused is told as by INSERT, nothing is written, and the connection goes on', async () => {
  const before = await count();
  await expect(copy([thing(10), thing(10)])).rejects.toMatchObject({
    code: '23505',
    constraint: 'things_pkey',
  });
  await expect(copy([thing(11, { name: 'forbidden' })])).rejects.toMatchObject({ code: '23514' });
  // Refused by us, in the middle of a row.
  await expect(copy([thing(11), thing(12, { body: undefined })])).rejects.toThrow(TypeError);
  // Refused before a row was read: what was sent along is passed over.
  const nowhere = { ...COPY, text: COPY.text.replace('things', 'nowhere') };
  await expect(withTransaction(db, (tx) => copyRows(tx, nowhere, [[thing(12)]]))).rejects.toMatchObject({
    code: '42P01',
  });
  expect(await count()).toBe(before);
  expect(await copy([thing(13)])).toBe(1);
});

test('a connection that breaks meanwhile rejects it', async () => {
  const client = await db.connect();
  client.on('error', () => {});
  const [{ pid }] = await rows<{ pid: number }>(client, {
    name: 'own_pid',
    text: 'SELECT pg_backend_pid() AS pid',
  });
  await db.query({ text: 'SELECT pg_terminate_backend($1, 5000)', values: [pid] });
  await expect(copyRows(client, COPY, [[thing(20)]])).rejects.toThrow();
  client.release(true);
});
