/** The operator's command: npm run quarantine -- --sale ID --seq N [--tenant ID]. DATABASE_URL, REDIS_URL. */
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { loadConfig, required } from '../../platform/config.ts';
import { createPool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { passEntry } from './pass-entry.ts';

const HELP = `Usage: npm run quarantine -- --sale ID --seq N [--tenant ID]

Passes a stream entry that cannot be read. Its bytes are kept in the ledger's table quarantine, the sale
goes on behind it. What the entry took is then missing in the ledger: the audit says how much.

  --sale    the sale, as the reconciler's log names it
  --seq     position of the entry: one above the "seq" that the log tells
  --tenant  default
  --actor   who does this (the name of this account)

Environment: DATABASE_URL, REDIS_URL. Exit code: 0 passed, 1 not passed, 2 wrong arguments.
`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      tenant: { type: 'string', default: 'default' },
      sale: { type: 'string' },
      seq: { type: 'string' },
      actor: { type: 'string', default: userInfo().username },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const { tenant, sale, actor } = values;
  const seq = Number(values.seq);
  if (!sale || !Number.isSafeInteger(seq) || seq < 1) throw new Error('--sale and --seq are needed');
  return { tenant, sale, seq, actor };
}

let entry: ReturnType<typeof readArguments>;
try {
  entry = readArguments();
} catch (error) {
  console.error(`${(error as Error).message}\n\n${HELP}`);
  process.exit(2);
}
try {
  const config = required(loadConfig(process.env), 'redis_url', 'database_url');
  const db = createPool({
    url: config.database_url,
    max: 1,
    application_name: 'stampede-quarantine',
    on_error: () => {},
  });
  const redis = connectRedis(config.redis_url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  const result = await passEntry({ db, redis }, entry);
  const said = {
    passed: `entry ${entry.seq} of sale ${entry.sale} is in quarantine; the sale goes on`,
    not_found: `there is no sale ${entry.sale} of tenant ${entry.tenant}`,
    nothing_to_pass: `entry ${entry.seq} is not an unreadable entry after the cursor; nothing was changed`,
  };
  console.log(said[result.kind]);
  process.exit(result.kind === 'passed' ? 0 : 1);
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
