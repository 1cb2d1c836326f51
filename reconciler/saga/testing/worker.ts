/** A process that does nothing but the saga, for tests that kill it. Argument: {database_url, url, secret, timeout_ms, patience?}. */
import { Registry } from 'prom-client';
import { createProviders } from '../../../payments/providers.ts';
import { createLog } from '../../../platform/log.ts';
import { createPool } from '../../../platform/postgres.ts';
import { startSaga } from '../saga.ts';
import type { Patience } from '../steps.ts';

type Settings = {
  database_url: string;
  url: string;
  secret: string;
  timeout_ms: number;
  patience?: Partial<Patience>;
};

const { database_url, url, secret, timeout_ms, patience } = JSON.parse(process.argv[2]) as Settings;
const pool = createPool({
  url: database_url,
  max: 8,
  application_name: 'saga-under-test',
  pipeline: true,
  on_error: () => {},
});
const providers = createProviders(
  { psp: 'sandbox', psp_sandbox_url: url, psp_sandbox_secret: secret },
  { timeout_ms },
);
await startSaga({
  pool,
  database_url,
  providers,
  registry: new Registry(),
  log: createLog({ level: 'silent', service: 'saga' }),
  patience,
  timings: { poll_ms: 200, sweep_ms: 100, unbegun_ms: 1_000, maintenance_s: 1 },
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
