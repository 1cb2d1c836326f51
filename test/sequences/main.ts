/** `npm run sequences`: as many sequences as one likes, each world with stores of its own. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { migrate } from '../../ledger/migrate.ts';
import { removePostgres, startPostgres } from '../../platform/local/postgres-server.ts';
import { lastWill } from '../support/last-will.ts';
import { type Checked, checkSequences, describeFailure } from './check.ts';
import type { Command } from './commands.ts';
import { type Counts, runSequence } from './run.ts';
import { createWorld } from './world.ts';

const HELP = `Usage: npm run sequences -- [options]

  --runs N         sequences (500)
  --minutes N      begins no new one after so long, however many are left
  --seed N         draws them (printed if it is not given)
  --path P         of a failure: runs that sequence alone, shrunk as it was
  --commands FILE  runs the commands of a file (a JSON list, as a failure prints them), once
  --worlds N       worlds at once, each with a Redis and a ledger of its own, each with a share of the runs (1)
  --no-shrink      tells of a failure as it was first seen
  --help

Progress goes to stderr, the result to stdout as JSON. Exit code: 0 when nothing broke, 1 when something did, 2 for a
wrong option.
`;

function whole(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^-?\d+$/.test(text)) throw new TypeError(`"${text}" is no number`);
  return Number(text);
}

type Databases = { fresh: () => Promise<string>; close: () => Promise<void> };

/** A Postgres of our own, thrown away afterwards, and databases cloned from a migrated one. */
async function startDatabases(): Promise<Databases> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-sequences-'));
  chmodSync(dir, 0o711);
  const settings = { fsync: 'off', full_page_writes: 'off' };
  const postgres = await startPostgres({ dir: join(dir, 'postgres'), settings });
  const revoke = lastWill([postgres.pid], dir);
  await migrate(postgres.url);
  const admin = new pg.Client({ connectionString: postgres.url.replace(/[^/]*$/, 'postgres') });
  await admin.connect();
  let made = 0;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    fresh() {
      const name = `sequences_${++made}`;
      const mine = turn.then(async () => {
        await admin.query(`CREATE DATABASE ${name} TEMPLATE stampede`);
        return postgres.url.replace(/[^/]*$/, name);
      });
      turn = mine.catch(() => {});
      return mine;
    },
    async close() {
      await admin.end();
      await postgres.stop();
      removePostgres(join(dir, 'postgres'));
      rmSync(dir, { recursive: true, force: true });
      revoke();
    },
  };
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const options = {
    ...{ runs: text, minutes: text, seed: text, path: text, commands: text, worlds: text },
    'no-shrink': { type: 'boolean', default: false } as const,
    help: { type: 'boolean', short: 'h' } as const,
  };
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const seed = whole(values.seed, Date.now() % 1_000_000_000);
  const runs = values.path === undefined ? whole(values.runs, 500) : 1;
  const worlds = values.path === undefined ? Math.max(1, whole(values.worlds, 1)) : 1;
  console.error(`seed ${seed}`);
  const databases = await startDatabases();
  try {
    if (values.commands !== undefined) return await runFile(databases, values.commands);
    let [done, said_at] = [0, performance.now()];
    const begun = performance.now();
    const progress = () => {
      done += 1;
      if (performance.now() - said_at < 5_000) return;
      said_at = performance.now();
      console.error(`${done} of ${runs} sequences, ${Math.round((said_at - begun) / done)} ms each`);
    };
    const checks = Array.from({ length: worlds }, async (_, i): Promise<Checked> => {
      const world = await createWorld({ database: databases.fresh });
      try {
        const share = Math.floor(runs / worlds) + (i < runs % worlds ? 1 : 0);
        return await checkSequences(world, {
          ...(values.minutes !== undefined && { time_ms_max: whole(values.minutes, 0) * 60_000 }),
          runs: share,
          seed: seed + i,
          path: values.path,
          ...(values['no-shrink'] && { shrink_ms_max: 0 }),
          progress,
        });
      } finally {
        await world.close();
      }
    });
    const checked = await Promise.all(checks);
    const failed = checked.filter((one) => one.failure);
    for (const one of failed) console.error(describeFailure(one));
    const seconds = Math.round((performance.now() - begun) / 1000);
    const counts = added(checked.map((one) => one.counts));
    const failures = failed.map(({ seed: of, failure }) => ({ seed: of, ...failure }));
    console.log(JSON.stringify({ runs: done, seed, worlds, seconds, failures, counts }, undefined, 2));
    return failed.length === 0 ? 0 : 1;
  } finally {
    await databases.close();
  }
}

async function runFile(databases: Databases, file: string): Promise<number> {
  const commands = JSON.parse(readFileSync(file, 'utf8')) as Command[];
  const world = await createWorld({ database: databases.fresh });
  try {
    await runSequence(world, commands, {}, (line) => console.error(line));
    console.error('nothing broke');
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  } finally {
    await world.close();
  }
}

function added(all: readonly Counts[]): Counts {
  const sums: Counts = {};
  for (const counts of all) {
    for (const [what, count] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + count;
  }
  return Object.fromEntries(Object.entries(sums).sort(([a], [b]) => (a < b ? -1 : 1)));
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError && !('cause' in error);
  console.error(usage ? error.message : error);
  process.exitCode = usage ? 2 : 1;
}
