/**
 * Chaos with real processes: npm run chaos -- [--minutes 30] [--seed 1] [--faults kill,old_aof,...] [--out FOLDER] ...
 * Exit code 1: something is not as it must be.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';
import { FAULT_CLASSES, type FaultClass } from './faults/fault.ts';
import { resultTable } from './report.ts';

const HELP = `Usage: npm run chaos -- [options]

Two engines, two reconcilers, Redis with an asynchronous replica, Postgres and the sandbox PSP as real processes, each
connection through a proxy; load at 70% of the capacity found at the beginning; faults one after another and in pairs;
then a judgment from the clients' history, the provider's record and SQL.

  --minutes N     how long faults strike (10)
  --seed S        draws the faults and their order (the time)
  --faults LIST   only these classes: ${FAULT_CLASSES.join(', ')}
  --count N       end after so many faults
  --rate N        requests a second, instead of 70% of the capacity
  --rate-max N    the capacity is not looked for above this (2000)
  --sales N       sales at a time (3), and
  --sale-seconds  how long each is on (60)
  --patience N    minutes until nothing may be left to do (12)
  --everysec      Redis with appendfsync everysec
  --out FOLDER    history.jsonl, result.json and, if something is wrong, the logs of all processes
  --logs          the logs in any case
  --help
Needs npm run build before. Exit code 0: nothing wrong; 1: a violation; 2: wrong options.`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

function readOptions() {
  const { values } = parseArgs({
    options: {
      ...{ minutes: text, seed: text, faults: text, count: text, rate: text, 'rate-max': text, sales: text },
      ...{ 'sale-seconds': text, patience: text, out: text, everysec: flag, logs: flag },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const number = (name: keyof typeof values, otherwise: number) => {
    const value = values[name] === undefined ? otherwise : Number(values[name]);
    if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0`);
    return value;
  };
  const classes = values.faults?.split(',').map((name) => {
    if (!FAULT_CLASSES.some((known) => known === name)) throw new TypeError(`--faults: there is no ${name}`);
    return name as FaultClass;
  });
  return { values, number, classes: classes ?? FAULT_CLASSES };
}

async function main(): Promise<number> {
  const { values, number, classes } = readOptions();
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const seed = number('seed', Math.floor(Date.now() / 1_000) % 1_000_000);
  const out = values.out ?? join(tmpdir(), `stampede-chaos-${seed}-result`);
  console.error(`seed ${seed}, results in ${out}`);
  const begun = performance.now();
  const result = await chaos({
    ...{ seed, classes, out, engines: 2, reconcilers: 2, hold_seconds: 20 },
    duration_ms: number('minutes', 10) * 60_000,
    ...(values.count && { faults_max: number('count', 1) }),
    ...(values.rate && { rate: number('rate', 1) }),
    ...{ rate_max: number('rate-max', 2_000), sales: number('sales', 3) },
    ...{ sale_ms: number('sale-seconds', 60) * 1_000, patience_ms: number('patience', 12) * 60_000 },
    ...(values.everysec && { redis_settings: { appendfsync: 'everysec' } }),
    ...(values.logs && { keep_logs: true }),
    progress: (line) => console.error(`${((performance.now() - begun) / 1_000).toFixed(1)} ${line}`),
  });
  console.log(resultTable(result));
  for (const { rule, what } of result.judgment.violations.slice(0, 50))
    console.error(`VIOLATION ${rule}: ${what}`);
  return result.judgment.violations.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError && error.message.startsWith('--');
  console.error(usage ? error.message : error);
  process.exitCode = usage || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
}
// Sockets of clients that nobody waits for any more.
process.exit();
