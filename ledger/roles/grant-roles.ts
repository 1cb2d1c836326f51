/** Gives the roles of 0017_roles.sql what they need of what is there now. For the owner of the ledger; any number of times. */
import { type Queryable, rows } from '../../platform/postgres.ts';

const GRANT_ROLES = { name: 'grant_roles', text: 'SELECT grant_roles()' };

export async function grantRoles(db: Queryable): Promise<void> {
  await rows(db, GRANT_ROLES);
}
