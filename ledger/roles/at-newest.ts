/** Is the ledger at the newest schema, and could this role bring it there? */
import { readdirSync } from 'node:fs';
import { type Queryable, rows } from '../../platform/postgres.ts';
import { MIGRATIONS_FOLDER } from '../migrate.ts';

const MAY_MIGRATE = {
  name: 'may_migrate',
  text: `
    SELECT CASE WHEN t.oid IS NULL THEN has_schema_privilege('public', 'CREATE') ELSE pg_has_role(t.relowner, 'USAGE') END AS may
    FROM (SELECT to_regclass('public.migrations') AS oid) AS known
    LEFT JOIN pg_class t ON t.oid = known.oid`,
};

const RUN = { name: 'migrations_run', text: 'SELECT name FROM migrations' };

export async function mayMigrate(db: Queryable): Promise<boolean> {
  return (await rows<{ may: boolean }>(db, MAY_MIGRATE))[0].may;
}

/** The ledger lacks a migration that this program needs. Another process brings it there, so it counts as away. */
export class LedgerBehind extends Error {
  readonly code = '42P01';
  constructor(missing: readonly string[]) {
    super(`the ledger lacks ${missing.join(', ')}: run the migrations as its owner (MIGRATE_DATABASE_URL)`);
    this.name = 'LedgerBehind';
  }
}

/** Throws LedgerBehind. A ledger that is ahead is fine: it was brought there for newer processes beside this one. */
export async function checkAtNewest(db: Queryable): Promise<void> {
  const known = new Set((await rows<{ name: string }>(db, RUN)).map(({ name }) => name));
  const missing = readdirSync(MIGRATIONS_FOLDER)
    .map((file) => file.replace(/\.sql$/, ''))
    .filter((name) => !known.has(name));
  if (missing.length > 0) throw new LedgerBehind(missing.sort());
}
