import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testLedger } from '../test/support/ledger.ts';
import { describeSchema } from './describe-schema.ts';
import { migrate } from './migrate.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
beforeAll(async () => {
  ledger = await testLedger();
});
afterAll(() => ledger.close());

test('schema.sql is what the migrations make (npm run schema writes it)', async () => {
  await expect(await describeSchema(ledger.db)).toMatchFileSnapshot('./schema.sql');
});

test('migrations go down and up again, and many may bring one database up at once', async () => {
  const before = await describeSchema(ledger.db);
  const dir = fileURLToPath(new URL('./migrations', import.meta.url));
  const down = {
    databaseUrl: ledger.url,
    dir,
    migrationsTable: 'migrations',
    direction: 'down' as const,
    log: () => {},
  };
  await runner({ ...down, count: 100 });
  const { rows } = await ledger.db.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
  );
  expect(rows).toEqual([{ relname: 'migrations' }]);
  const runs = await Promise.all([1, 2, 3].map(() => migrate(ledger.url)));
  expect(runs.filter((run) => run.length > 0)).toHaveLength(1);
  expect(await describeSchema(ledger.db)).toBe(before);
  expect(await migrate(ledger.url)).toEqual([]);
});
