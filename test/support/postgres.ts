/** A real Postgres for tests. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import pg from 'pg';
import { inject } from 'vitest';
import { LEDGER_ROLES, type LedgerRole, roleName, setLogin } from '../../ledger/roles/set-login.ts';

const TEMPLATE = 'stampede_template';
/** What the roles log in with, in every database of a run. */
const PASSWORD = 'the-password-of-a-role-in-tests';
/** Any number: whoever holds it makes the template. */
const TEMPLATE_LOCK = 71_001;

/**
 * A database of its own with all migrations, cloned from a template that the first caller of a run
 * makes. It goes away with the run. Returns its URL.
 */
export async function testDatabase(): Promise<string> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  try {
    await ensureTemplate(admin);
    const name = `test_${randomBytes(6).toString('hex')}`;
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
    return databaseUrl(name);
  } finally {
    await admin.end();
  }
}

/** The URL of a test's database, for one of the roles that are not its owner. */
export function asLedgerRole(url: string, role: LedgerRole): string {
  const named = new URL(url);
  named.username = roleName(role);
  named.password = PASSWORD;
  return named.href;
}

async function ensureTemplate(admin: pg.Client): Promise<void> {
  await admin.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
  try {
    const known = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [TEMPLATE]);
    if (known.rowCount) return;
    const draft = `${TEMPLATE}_draft`;
    await admin.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${draft}`);
    const module = new URL('../../ledger/migrate.ts', import.meta.url);
    if (existsSync(module)) {
      const { migrate } = (await import(module.href)) as { migrate(url: string): Promise<unknown> };
      await migrate(databaseUrl(draft));
    }
    for (const role of LEDGER_ROLES) await setLogin(admin, role, PASSWORD);
    // The name tells that it is whole.
    await admin.query(`ALTER DATABASE ${draft} RENAME TO ${TEMPLATE}`);
  } finally {
    await admin.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
  }
}

function databaseUrl(name: string): string {
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  return url.href;
}
