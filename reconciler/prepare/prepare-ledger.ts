/** Brings a ledger to where our processes need it: newest schema, job queues, and rights for those that are not its owner. */

import { migrate } from '../../ledger/migrate.ts';
import { checkAtNewest, mayMigrate } from '../../ledger/roles/at-newest.ts';
import { grantRoles } from '../../ledger/roles/grant-roles.ts';
import { type LedgerRole, setLogin } from '../../ledger/roles/set-login.ts';
import { installJobs } from '../../payments/jobs/install.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';

export type PrepareOptions = {
  /** Of the ledger's owner. */
  url: string;
  /** Roles that are to log in from now on. */
  passwords?: Partial<Record<LedgerRole, string>>;
};

/** Returns the migrations that were run. Safe to call again, and from several processes at once. */
export async function prepareLedger({ url, passwords = {} }: PrepareOptions): Promise<string[]> {
  const run = await migrate(url);
  const db = createPool({ url, max: 1, application_name: 'stampede-prepare', on_error: () => {} });
  try {
    await installJobs(db);
    await grantRoles(db);
    for (const [role, password] of Object.entries(passwords)) {
      if (password) await setLogin(db, role as LedgerRole, password);
    }
  } finally {
    await db.end();
  }
  return run;
}

/**
 * For a process that works on the ledger: prepares it where it is, or was given, the owner; else waits for whoever is (throws
 * LedgerBehind until then).
 */
export async function prepareOrCheck(db: Pool, urls: { url: string; owner_url?: string }): Promise<string[]> {
  if (urls.owner_url) return prepareLedger({ url: urls.owner_url });
  if (await mayMigrate(db)) return prepareLedger({ url: urls.url });
  await checkAtNewest(db);
  return [];
}
