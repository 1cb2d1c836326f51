/** The saga as a process of its own. WORKER_SETTINGS: WorkerSettings as JSON. Told `go` it begins to fetch jobs. */
import { Registry } from 'prom-client';
import { createProviders } from '../../payments/providers.ts';
import { createLog } from '../../platform/log.ts';
import { createPool } from '../../platform/postgres.ts';
import { startSaga } from '../../reconciler/saga/saga.ts';
import { counted, workerSettings } from './worker-settings.ts';

const settings = workerSettings();
const url = settings.database_url;
const pool = createPool({ url, max: 8, application_name: 'bench-saga', pipeline: true, on_error: () => {} });
let go = () => {};
const gone = new Promise<void>((resolve) => {
  go = resolve;
});
await startSaga({
  ...{ pool, database_url: url },
  providers: counted(createProviders(settings.providers), settings.orders),
  registry: new Registry(),
  log: createLog({ level: 'warn', service: 'saga' }),
  give_way: () => gone,
  // Orders that wait for `go` are not lost.
  timings: { unbegun_ms: 600_000 },
});
process.on('message', () => go());
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.send?.('ready');
