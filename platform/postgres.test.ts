import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { testLedger } from '../test/support/ledger.ts';
import {
  classifyError,
  createPool,
  isUnavailable,
  type Pool,
  rows,
  together,
  withTransaction,
} from './postgres.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  await db.query('CREATE TABLE counters (id int PRIMARY KEY, value bigint NOT NULL CHECK (value >= 0))');
  await db.query('INSERT INTO counters VALUES (1, 0), (2, 0)');
});
afterAll(() => ledger.close());

const add = (id: number, value: number) => ({
  name: `add_${id}`,
  text: 'UPDATE counters SET value = value + $2 WHERE id = $1',
  values: [id, value],
});
const counter = async (id: number) =>
  (
    await rows<{ value: number }>(
      db,
      { name: 'value_of', text: 'SELECT value FROM counters WHERE id = $1' },
      [id],
    )
  )[0].value;
const fail = async (work: Promise<unknown>) =>
  classifyError(
    await work.then(
      () => {
        throw new Error('did not fail');
      },
      (error: unknown) => error,
    ),
  );

describe.each([false, true])('withTransaction, in a pipeline: %s', (pipeline) => {
  let whole: Pool;
  beforeAll(async () => {
    whole = db;
    db = createPool({ url: ledger.url, max: 10, application_name: 'test', pipeline, on_error: () => {} });
    await db.query('UPDATE counters SET value = 0');
  });
  afterAll(async () => {
    await db.end();
    db = whole;
  });

  test('commits what was done, or nothing of it', async () => {
    await withTransaction(db, (tx) => tx.query(add(1, 5)));
    expect(await counter(1)).toBe(5);
    const failing = withTransaction(db, async (tx) => {
      await tx.query(add(1, 100));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await counter(1)).toBe(5);
  });

  test('does not take a failed transaction for a committed one', async () => {
    const failing = withTransaction(db, async (tx) => {
      await tx.query(add(1, 100));
      await tx.query(add(1, -1_000)).catch(() => {});
    });
    await expect(failing).rejects.toThrow('had failed before its COMMIT');
    expect(await counter(1)).toBe(5);
  });

  test('runs the loser of a deadlock again', async () => {
    const before = (await counter(1)) + (await counter(2));
    const both = async (first: number, second: number) =>
      withTransaction(db, async (tx) => {
        await tx.query(add(first, 1));
        await sleep(100);
        await tx.query(add(second, 1));
      });
    await Promise.all([both(1, 2), both(2, 1)]);
    expect((await counter(1)) + (await counter(2))).toBe(before + 4);
  });

  test('reads one moment in a snapshot, and writes nothing there', async () => {
    await withTransaction(
      db,
      async (tx) => {
        const read = async () =>
          (await tx.query<{ value: number }>('SELECT value FROM counters WHERE id = 1')).rows[0].value;
        const first = await read();
        await db.query(add(1, 7));
        expect(await read()).toBe(first);
        await expect(tx.query(add(1, 1))).rejects.toThrow('read-only');
      },
      { mode: 'snapshot' },
    ).catch((error: Error) => expect(error.message).toContain('had failed'));
  });

  test('sends what does not wait for each other in order, and undoes all of it if one fails', async () => {
    const before = await counter(1);
    const both = (first: number, second: number) =>
      withTransaction(db, (tx) =>
        together(
          tx,
          () => tx.query(add(1, first)),
          () => tx.query(add(1, second)),
        ),
      );
    await both(3, -before - 2);
    expect(await counter(1)).toBe(1);
    const failing = both(-5, 50);
    await expect(failing).rejects.toThrow('violates check constraint');
    expect(await counter(1)).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => withTransaction(db, (tx) => tx.query(add(1, 1)))));
    expect(await counter(1)).toBe(21);
  });

  test('gives no broken connection back to the pool', async () => {
    const killed = withTransaction(db, async (tx) => {
      const { rows: own } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await db.query({ text: 'SELECT pg_terminate_backend($1)', values: [own[0].pid] });
      await tx.query(add(1, 1));
    });
    expect(await fail(killed)).toBe('unavailable');
    await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1')));
  });
});

describe('errors', () => {
  test('of a ledger that is away are unavailable', async () => {
    const nowhere = createPool({
      url: 'postgres://x@127.0.0.1:1/x',
      max: 1,
      application_name: 'test',
      on_error: () => {},
    });
    expect(await fail(nowhere.query('SELECT 1'))).toBe('unavailable');
    await nowhere.end();
    const missing = new URL(ledger.url);
    missing.pathname = '/missing';
    const wrong = createPool({ url: missing.href, max: 1, application_name: 'test', on_error: () => {} });
    expect(await fail(wrong.query('SELECT 1'))).toBe('unavailable');
    await wrong.end();
    // Not migrated yet: its tables are not there.
    expect(await fail(ledger.db.query('SELECT 1 FROM not_there_yet'))).toBe('unavailable');
  });

  test('of a statement that takes too long, or waits too long, are unavailable', async () => {
    const slow = createPool({
      url: ledger.url,
      max: 1,
      application_name: 'test',
      statement_timeout_ms: 100,
      on_error: () => {},
    });
    expect(await fail(slow.query('SELECT pg_sleep(5)'))).toBe('unavailable');
    await slow.end();
  });

  test('of a full pool are unavailable', async () => {
    const full = createPool({ url: ledger.url, max: 1, application_name: 'test', on_error: () => {} });
    const holder = await full.connect();
    expect(await fail(full.query('SELECT 1'))).toBe('unavailable');
    holder.release();
    await full.end();
  });

  test('of a wrong statement or a constraint are bugs', async () => {
    expect(await fail(db.query('SELECT nothing'))).toBe('bug');
    expect(await fail(db.query(add(1, -1_000_000)))).toBe('bug');
    expect(isUnavailable(new TypeError('x is not a function'))).toBe(false);
    expect(isUnavailable('text')).toBe(false);
  });
});

test('an idle connection that breaks is told and replaced', async () => {
  const on_error = vi.fn();
  const pool = createPool({ url: ledger.url, max: 1, application_name: 'broken', on_error });
  await pool.query('SELECT 1');
  await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'broken'`);
  await vi.waitFor(() => expect(on_error).toHaveBeenCalled());
  expect((await pool.query('SELECT 1')).rowCount).toBe(1);
  await pool.end();
});

test('bigint reads as an exact number or throws', async () => {
  const read = (value: string) =>
    db.query<{ value: number }>({ text: 'SELECT $1::bigint AS value', values: [value] });
  expect((await read('9007199254740991')).rows[0].value).toBe(Number.MAX_SAFE_INTEGER);
  await expect(read('9007199254740993')).rejects.toThrow('not exact');
  expect((await db.query('SELECT 1')).rowCount).toBe(1);
});
