/**
 * Brings a database to the newest schema. Callers at the same time wait for each other (advisory lock);
 * all pending migrations commit together or not at all.
 */
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('./migrations', import.meta.url));

/** Returns the names of the migrations that were run, oldest first. Throws if one fails: nothing has changed then. */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const run = await runner({
    databaseUrl,
    dir: MIGRATIONS_FOLDER,
    migrationsTable: 'migrations',
    direction: 'up',
    singleTransaction: true,
    advisoryLockMode: 'wait',
    log: () => {},
  });
  return run.map((migration) => migration.name);
}
