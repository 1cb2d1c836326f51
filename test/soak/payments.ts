/** `npm run soak:payments`: many orders through a provider with faults of every kind, the saga killed again and again. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../../ledger/migrate.ts';
import { removePostgres, startPostgres } from '../../platform/local/postgres-server.ts';
import { lastWill } from '../support/last-will.ts';
import { soak } from './soak.ts';

const HELP = `Usage: npm run soak:payments -- [options]

  --orders N        orders (10000)
  --seed N          draws orders, deeds and faults (printed if it is not given)
  --faults PERCENT  of calls and webhooks that are struck (10)
  --kill-every S    seconds between two kill -9 of the saga (5)
  --help

Exit code: 0 when everybody has goods or money, 1 when somebody has not, 2 for a wrong option.
`;

function number(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d+(\.\d+)?$/.test(text)) throw new TypeError(`"${text}" is no number`);
  return Number(text);
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const options = {
    ...{ orders: text, seed: text, faults: text, 'kill-every': text },
    help: { type: 'boolean', short: 'h' } as const,
  };
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const seed = number(values.seed, Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const dir = mkdtempSync(join(tmpdir(), 'stampede-soak-'));
  chmodSync(dir, 0o711);
  const postgres = await startPostgres({ dir: join(dir, 'postgres') });
  const revoke = lastWill([postgres.pid], dir);
  try {
    await migrate(postgres.url);
    let said = 0;
    const result = await soak({
      ...{ database_url: postgres.url, seed, orders: number(values.orders, 10_000) },
      fault_rate: number(values.faults, 10) / 100,
      kill_every_ms: number(values['kill-every'], 5) * 1_000,
      patience_ms: 300_000,
      progress(line) {
        if (performance.now() - said < 2_000) return;
        said = performance.now();
        console.log(line);
      },
    });
    console.log(JSON.stringify({ seed, ...result, wrong: result.wrong.slice(0, 20) }, undefined, 2));
    return result.wrong.length === 0 ? 0 : 1;
  } finally {
    await postgres.stop();
    removePostgres(join(dir, 'postgres'));
    rmSync(dir, { recursive: true, force: true });
    revoke();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError;
  console.error(usage ? error.message : error);
  process.exitCode = usage ? 2 : 1;
}
