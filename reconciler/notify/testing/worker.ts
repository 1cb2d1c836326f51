/** A process that does nothing but send notices, for tests that kill it. Argument: {database_url, env, timings}. */
import { Registry } from 'prom-client';
import { loadConfig } from '../../../platform/config.ts';
import { createLog } from '../../../platform/log.ts';
import { createPool } from '../../../platform/postgres.ts';
import { createNotify } from '../notify.ts';

const { database_url, env, timings } = JSON.parse(process.argv[2] ?? '{}');
const notify = createNotify({
  db: createPool({ url: database_url, max: 4, application_name: 'notify-under-test', on_error: () => {} }),
  config: loadConfig({ PUBLIC_URL: 'http://shop.example', ...env }),
  registry: new Registry(),
  log: createLog({ level: 'silent', service: 'notify' }),
  timings,
});
void notify.run(new AbortController().signal);
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
