/** `npm run bench:saga`: orders a second that the saga pays, against one pg-boss job an order. See bench/saga/options.ts. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../ledger/migrate.ts';
import { installJobs } from '../payments/jobs/install.ts';
import { removePostgres, startPostgres } from '../platform/local/postgres-server.ts';
import { createPool } from '../platform/postgres.ts';
import { lastWill } from '../test/support/last-will.ts';
import { type Spread, spread } from './lab/spread.ts';
import { HELP, type Options, parseOptions, UsageError } from './saga/options.ts';
import { type Contestant, type RunOptions, type RunResult, runOnce } from './saga/run.ts';
import type { Tuning } from './saga/worker-settings.ts';

const TEMPLATE = 'bench_template';
const TUNINGS: Tuning[] = [
  { loops: 1, batch: 16, connections: 16 },
  { loops: 1, batch: 64, connections: 16 },
  { loops: 2, batch: 32, connections: 16 },
  { loops: 2, batch: 64, connections: 32 },
  { loops: 4, batch: 64, connections: 16 },
];
const TUNING_ORDERS = 600;

async function main(options: Options): Promise<boolean> {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
  chmodSync(dir, 0o711);
  const postgres = await startPostgres({ dir: join(dir, 'postgres') });
  const revoke = lastWill([postgres.pid], dir);
  try {
    await makeTemplate(postgres.url);
    const shared = { postgres, template: TEMPLATE, skus: options.skus };
    const { cpu_prof } = options;
    const wanted: Contestant[] = options.only ? [options.only] : ['saga', 'baseline'];
    const tuning = wanted.includes('baseline') ? await tune(shared, say) : undefined;
    const results: Record<Contestant, RunResult[]> = { saga: [], baseline: [] };
    for (let pair = 0; pair < options.pairs; pair++) {
      for (const contestant of wanted) {
        const run: RunOptions = {
          ...{ ...shared, contestant },
          orders: contestant === 'saga' ? options.orders : options.baseline_orders,
          ...(contestant === 'baseline' ? { tuning } : {}),
          ...(cpu_prof ? { cpu_prof } : {}),
        };
        const result = await runOnce(run);
        say(line(contestant, result));
        results[contestant].push(result);
      }
    }
    report(options, results, tuning);
    return Object.values(results)
      .flat()
      .every((result) => result.wrong.length === 0);
  } finally {
    await postgres.stop();
    removePostgres(join(dir, 'postgres'));
    rmSync(dir, { recursive: true, force: true });
    revoke();
  }
}

async function makeTemplate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${TEMPLATE}`);
  await client.end();
  const template = new URL(url);
  template.pathname = `/${TEMPLATE}`;
  await migrate(template.href);
  const db = createPool({ url: template.href, max: 1, application_name: 'bench', on_error: () => {} });
  await installJobs(db);
  await db.end();
}

/** The baseline's best settings, by short runs of each. */
async function tune(shared: Pick<RunOptions, 'postgres' | 'template' | 'skus'>, say: (text: string) => void) {
  let best: { tuning: Tuning; orders_per_s: number } | undefined;
  for (const tuning of TUNINGS) {
    const result = await runOnce({ ...shared, contestant: 'baseline', orders: TUNING_ORDERS, tuning });
    say(`${line('baseline', result)}  ${JSON.stringify(tuning)}`);
    if (!best || result.orders_per_s > best.orders_per_s) best = { tuning, ...result };
  }
  return best?.tuning;
}

function line(contestant: Contestant, { orders_per_s, seconds, cpu_us, wrong }: RunResult): string {
  const cpu = Object.entries(cpu_us).map(([name, us]) => `${name} ${us}`);
  const text = `${contestant.padEnd(8)} ${orders_per_s} orders/s in ${seconds.toFixed(1)} s; CPU us an order: ${cpu.join(', ')}`;
  return wrong.length === 0 ? text : `${text}\n  WRONG, no result: ${wrong.join('; ')}`;
}

function report(
  options: Options,
  { saga, baseline }: Record<Contestant, RunResult[]>,
  tuning: Tuning | undefined,
): void {
  const right = (results: RunResult[]) => results.filter((result) => result.wrong.length === 0);
  const ratios = right(saga).flatMap((result, i) =>
    right(baseline)[i] ? [result.orders_per_s / right(baseline)[i].orders_per_s] : [],
  );
  const result = {
    ...{
      orders: options.orders,
      baseline_orders: options.baseline_orders,
      pairs: options.pairs,
      skus: options.skus,
    },
    saga_orders_per_s: rounded(right(saga).map((one) => one.orders_per_s)),
    baseline_orders_per_s: rounded(right(baseline).map((one) => one.orders_per_s)),
    ratio: rounded(ratios),
    /** By CPU time of all processes: what others do on the machine meanwhile hardly changes it. */
    cpu_ratio: ratio(cpuTotal(right(baseline)), cpuTotal(right(saga))),
    saga_cpu_us: cpuMedians(right(saga)),
    baseline_cpu_us: cpuMedians(right(baseline)),
    baseline_tuning: tuning ?? null,
    wrong: [...saga, ...baseline].flatMap((one) => one.wrong),
    ...{ node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model },
  };
  if (options.json) {
    console.log(JSON.stringify(result, undefined, 2));
    return;
  }
  const total = (results: RunResult[]) => cpuTotal(right(results)) ?? '-';
  const words = (of: ReturnType<typeof rounded>) => (of ? `${of.median} (${of.min} to ${of.max})` : '-');
  console.log(`saga       ${words(result.saga_orders_per_s)} orders/s`);
  console.log(`baseline   ${words(result.baseline_orders_per_s)} orders/s`);
  console.log(`ratio      ${words(result.ratio)}, pair by pair`);
  console.log(`CPU ratio  ${result.cpu_ratio ?? '-'}: ${total(baseline)} us an order against ${total(saga)}`);
}

/** CPU of all processes for one order, us: the median run's. */
function cpuTotal(results: RunResult[]): number | undefined {
  const sums = results.map(({ cpu_us }) => cpu_us.worker + cpu_us.postgres + cpu_us.sandbox);
  return rounded(sums)?.median;
}

function ratio(a: number | undefined, b: number | undefined): number | null {
  return a && b ? Number((a / b).toFixed(1)) : null;
}

/** Median with the extremes, rounded for a reader; null of nothing. */
function rounded(values: number[]): Spread | null {
  const of = spread(values);
  const round = (value: number) => (value < 100 ? Number(value.toFixed(1)) : Math.round(value));
  return of ? { median: round(of.median), min: round(of.min), max: round(of.max) } : null;
}

function cpuMedians(results: RunResult[]): Record<string, number | undefined> {
  const names = ['worker', 'postgres', 'sandbox'] as const;
  return Object.fromEntries(
    names.map((name) => [name, rounded(results.map((result) => result.cpu_us[name]))?.median]),
  );
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else process.exitCode = (await main(options)) ? 0 : 1;
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? error.message : error);
  if (usage) console.error('npm run bench:saga -- --help lists the options');
  process.exitCode = usage ? 2 : 1;
}
