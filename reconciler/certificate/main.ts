/** The operator's command: npx stampede certificate SALE --out FILE. DATABASE_URL, REDIS_URL, CERTIFICATE_KEY. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createSigner } from '../../ledger/certificate/sign.ts';
import { type Certificate, type Missing, saleToCertify } from '../../ledger/certificate/summary.ts';
import { writeCertificate } from '../../ledger/certificate/write-certificate.ts';
import { readLiveStock } from '../../lua/live-stock.ts';
import { loadConfig, required } from '../../platform/config.ts';
import { createPool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { certificateFile } from './file.ts';

const HELP = `Usage: npx stampede certificate SALE --out FILE [options]

Writes the certificate of a sale: its totals, the equation of every SKU, and the evidence behind them, event by event.
npx stampede verify FILE checks it. Gzip if FILE ends with .gz; - is standard output.

  --tenant ID      default
  --interim        also while the sale is open, or something is still under way; it says so itself
  --json           what came of it, for programs
  --help

Environment: DATABASE_URL (a role that may read is enough), CERTIFICATE_KEY to sign it, and REDIS_URL for a sale that its
closing time has closed and no operator. Exit code: 0 written, 1 not written, 2 wrong arguments.
`;

const WHY: Readonly<Record<Missing, string>> = {
  not_loaded: 'the sale has not been loaded into Redis yet',
  not_closed: 'the sale is not closed; close it (POST /v1/admin/sales/{id}/close)',
  fenced: 'the sale is fenced; the audit says why',
  not_balanced: 'the books do not balance; the audit says where',
  movements_under_way: 'units are on their way back to Redis',
  orders_held: 'orders are still held and neither paid nor over',
  payments_unfinished: 'payments are not at their end: an outcome, a capture, or money that goes back',
  history_not_chained: 'the reconciler has not taken all of the history into the chain yet',
};

/** What a moment may mend is waited for. */
const MOMENTARY: readonly Missing[] = ['history_not_chained', 'movements_under_way'];
const LOOKS_MAX = 20;
const LOOK_MS = 500;
/** A sale of millions is read for minutes. */
const STATEMENT_MS_MAX = 600_000;

class Misuse extends Error {}

type Values = ReturnType<typeof readArguments>['values'];

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        tenant: { type: 'string', default: 'default' },
        interim: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new Misuse((error as Error).message);
  }
}

async function run(saleId: string, out: string, { tenant, interim, json }: Values): Promise<number> {
  const config = required(loadConfig(process.env), 'database_url');
  const signer = config.certificate_key ? createSigner(config.certificate_key) : undefined;
  const pool = createPool({
    url: config.database_url,
    max: 1,
    application_name: 'stampede-certificate',
    statement_timeout_ms: STATEMENT_MS_MAX,
    on_error: () => {},
  });
  const redis = config.redis_url ? connectRedis(config.redis_url) : undefined;
  redis?.on('error', () => {});
  try {
    const sale = await saleToCertify(pool, tenant, saleId);
    if (!sale) throw new Error(`there is no sale ${saleId} of tenant ${tenant}`);
    if (redis) await redisReady(redis, 5_000);
    const readLive = redis && (() => readLiveStock(redis, sale));
    const accept = (c: Certificate) => interim || !c.interim;
    for (let look = 1; ; look++) {
      const file = certificateFile(out);
      const done = await writeCertificate({
        ...{ pool, sale_no: sale.sale_no, readLive, signer, accept },
        write: (bytes) => file.write(bytes),
      }).catch(async (error: unknown) => {
        await file.drop();
        throw error;
      });
      const { missing } = done.certificate;
      if (done.written) {
        await file.keep();
        const said = {
          out,
          sale: saleId,
          tenant,
          interim: done.certificate.interim,
          missing,
          ...counts(done),
        };
        if (json) console.error(JSON.stringify(said));
        else
          console.error(
            `${out}: ${done.lines} lines${missing.length ? `, interim: ${missing.join(', ')}` : ''}`,
          );
        return 0;
      }
      await file.drop();
      const hopeful = missing.every((name) => MOMENTARY.includes(name));
      if (hopeful && look < LOOKS_MAX) {
        await sleep(LOOK_MS);
        continue;
      }
      if (json) console.error(JSON.stringify({ out: null, sale: saleId, tenant, missing }));
      else {
        console.error('Not written, something may still come (--interim writes it all the same):');
        for (const name of missing) console.error(`  ${name}: ${WHY[name]}`);
      }
      return 1;
    }
  } finally {
    redis?.disconnect();
    await pool.end();
  }
}

const counts = ({ lines, sha256 }: { lines: number; sha256: string }) => ({ lines, sha256 });

try {
  const { values, positionals } = readArguments();
  if (values.help) console.log(HELP);
  else if (positionals.length !== 1) throw new Misuse('say which sale');
  else if (!values.out) throw new Misuse('--out is needed');
  else process.exitCode = await run(positionals[0], values.out, values);
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof Misuse) console.error(`\n${HELP}`);
  process.exitCode = error instanceof Misuse ? 2 : 1;
}
