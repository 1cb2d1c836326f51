/** `npm run fuzz`: the whole API asked right and wrong, or left in the middle of a request, again and again. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removePostgres, startPostgres } from '../../../platform/local/postgres-server.ts';
import { startRedis } from '../../../platform/local/redis-server.ts';
import { lastWill } from '../../support/last-will.ts';
import { aborts } from './aborts.ts';
import { fuzz } from './fuzz.ts';
import { startWorld } from './world.ts';

const HELP = `Usage: npm run fuzz -- [options]

Starts an engine, a reconciler, a sandbox PSP, a Redis and a Postgres of its own.

  --requests N     drawn from the whole API document (10000)
  --aborts N       instead: requests whose clients leave before the answer
  --seed N         draws them (printed if it is not given)
  --from N         number of the first request (0): with --requests 1 a single one is sent again
  --connections N  at once (32)
  --help

Ctrl-C (SIGINT) ends it early: what has been asked until then is judged.
Prints its result as JSON. Exit code: 0 when all answers were as they must be, 1 when not, 2 for a wrong option.
`;

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d+$/.test(text)) throw new TypeError(`--${name} must be a whole number (it is "${text}")`);
  return Number(text);
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      ...{ requests: text, aborts: text, seed: text, from: text, connections: text },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const seed = whole('seed', values.seed, Date.now() % 1_000_000);
  const counts = {
    requests: whole('requests', values.requests, 10_000),
    aborts: whole('aborts', values.aborts, 0),
    from: whole('from', values.from, 0),
    connections: whole('connections', values.connections, 32),
  };
  console.error(`seed ${seed}`);
  const ending = new AbortController();
  process.once('SIGINT', () => ending.abort());
  const dir = mkdtempSync(join(tmpdir(), 'stampede-fuzz-'));
  chmodSync(dir, 0o711);
  const [redis, postgres] = await Promise.all([
    startRedis({ dir: join(dir, 'redis') }),
    startPostgres({ dir: join(dir, 'postgres') }),
  ]);
  const revoke = lastWill([redis.pid, postgres.pid], dir);
  try {
    const world = await startWorld({ redis_url: redis.url, database_url: postgres.url });
    try {
      const { signal } = ending;
      const options = { world, seed, ...counts, signal, progress: (line: string) => console.error(line) };
      const result = counts.aborts > 0 ? await aborts(options) : await fuzz(options);
      console.log(JSON.stringify(result, undefined, 2));
      return result.faults.length === 0 ? 0 : 1;
    } finally {
      await world.stop();
    }
  } finally {
    await Promise.all([redis.stop(), postgres.stop()]);
    removePostgres(join(dir, 'postgres'));
    rmSync(dir, { recursive: true, force: true });
    revoke();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError && /option|--/i.test(error.message);
  console.error(usage ? (error as Error).message : error);
  process.exitCode = usage ? 2 : 1;
}
