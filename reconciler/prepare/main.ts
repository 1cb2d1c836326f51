/**
 * Prepares the ledger and ends: a step of a rollout, before engines and reconcilers. MIGRATE_DATABASE_URL, or DATABASE_URL;
 * ENGINE_DATABASE_PASSWORD, RECONCILER_DATABASE_PASSWORD and AUDITOR_DATABASE_PASSWORD let those roles log in.
 */
import { ConfigError, loadConfig, required } from '../../platform/config.ts';
import { prepareLedger } from './prepare-ledger.ts';

try {
  const config = loadConfig(process.env);
  const url = config.migrate_database_url ?? required(config, 'database_url').database_url;
  const passwords = {
    engine: config.engine_database_password,
    reconciler: config.reconciler_database_password,
    auditor: config.auditor_database_password,
  };
  const run = await prepareLedger({ url, passwords });
  console.log(run.length > 0 ? `Migrated: ${run.join(', ')}` : 'The ledger is at the newest schema');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
