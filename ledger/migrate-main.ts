/** Brings the ledger to the newest schema and ends: a step of a rollout, before engines and reconcilers. DATABASE_URL */
import { ConfigError, loadConfig, required } from '../platform/config.ts';
import { migrate } from './migrate.ts';

try {
  const { database_url } = required(loadConfig(process.env), 'database_url');
  const run = await migrate(database_url);
  console.log(run.length > 0 ? `Migrated: ${run.join(', ')}` : 'The ledger is at the newest schema');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
