/** `npm run sim`: many seeds, each a world with faults of its own, held against the seven invariants. */
import { parseArgs } from 'node:util';
import { runSeeds, traceSeed } from './run.ts';

const HELP = `Usage: npm run sim -- [options]

  --seeds N      how many (2000)
  --from S       the first (1)
  --workers W    processes (1)
  --keep-going   tell of every seed that fails, not only of the first
  --seed S       one seed, with its trace
  --json         the result as JSON, nothing else, on stdout
  --help

Exit code: 0 when nothing was violated, 1 when something was (its seed and its trace are printed; the same seed fails
again), 2 for a wrong option.
`;

const TRACE_LINES_MAX = 200;

function count(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d*$/.test(text)) throw new TypeError(`"${text}" is no number above 0`);
  return Number(text);
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    options: {
      ...{ seeds: text, from: text, workers: text, seed: text },
      ...{ 'keep-going': flag, json: flag, help: { ...flag, short: 'h' } },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.seed !== undefined) return one(count(values.seed, 1));
  const [seeds, from] = [count(values.seeds, 2_000), count(values.from, 1)];
  const begun_ms = Date.now();
  let said_ms = begun_ms;
  const run = await runSeeds({
    ...{ from, seeds, workers: count(values.workers, 1), keep_going: values['keep-going'] },
    onFailed: ({ seed, violations }) => console.error(`seed ${seed}: ${violations.join('; ')}`),
    onProgress(tally) {
      if (Date.now() - said_ms < 5_000) return;
      said_ms = Date.now();
      const rate = (tally.seeds * 1_000) / (said_ms - begun_ms);
      console.error(`${tally.seeds} of ${seeds} seeds, ${rate.toFixed(0)} a second, ${tally.failed} failed`);
    },
  });
  const wall_s = (Date.now() - begun_ms) / 1_000;
  const { tally, failed } = run;
  const result = {
    from,
    ...tally,
    hash: tally.hash.toString(16),
    virtual_s: Math.round(tally.virtual_s),
    wall_s,
  };
  console.log(
    JSON.stringify(
      { ...result, failed: failed.map(({ seed, violations }) => ({ seed, violations })) },
      undefined,
      2,
    ),
  );
  if (failed.length === 0) return 0;
  if (!values.json) await one(failed[0].seed);
  return 1;
}

async function one(seed: number): Promise<number> {
  const { trace, violations, hash } = await traceSeed(seed);
  if (trace.length > TRACE_LINES_MAX) console.log(`... ${trace.length - TRACE_LINES_MAX} lines before`);
  console.log(trace.slice(-TRACE_LINES_MAX).join('\n'));
  console.log(`seed ${seed}, history ${hash}`);
  for (const violation of violations) console.log(`VIOLATED ${violation}`);
  return violations.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError;
  console.error(usage ? error.message : error);
  process.exitCode = usage ? 2 : 1;
}
