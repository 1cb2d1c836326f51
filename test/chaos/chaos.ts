/**
 * One run: the system as real processes, load at 70% of what it carries, faults one after another and in pairs, then
 * peace until nothing is left to do, and the judgment. The same seed draws the same faults in the same order; what they
 * meet depends on the machine.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../../payments/sandbox/seeded.ts';
import { type Judgment, judge } from './checker/judge.ts';
import type { FaultLine } from './checker/lines.ts';
import { readHistory, readLedger, readPayments, readUnderWay } from './checker/read.ts';
import { faultsOf } from './faults/catalog.ts';
import type { FaultClass } from './faults/fault.ts';
import { type History, openHistory } from './history.ts';
import { type Capacity, findCapacity } from './load/capacity.ts';
import { type Client, createClient } from './load/client.ts';
import { createHttp } from './load/http.ts';
import { type Accepted, startLoad } from './load/load.ts';
import { strike } from './strike.ts';
import { startWatcher } from './watcher.ts';
import { startWorld, type World } from './world/world.ts';

export type ChaosOptions = {
  seed: number;
  /** Faults end after so long, ms, or so many. */
  duration_ms: number;
  faults_max?: number;
  classes: readonly FaultClass[];
  /** Where history, result and, if something is wrong, the logs are put. */
  out: string;
  /** Requests a second; absent: 70% of the capacity found. */
  rate?: number;
  rate_max: number;
  sales: number;
  sale_ms: number;
  hold_seconds: number;
  engines: number;
  reconcilers: number;
  /** How long the end may take, ms. */
  patience_ms: number;
  redis_settings?: Readonly<Record<string, string>>;
  /** Keep the logs, whatever the judgment. */
  keep_logs?: boolean;
  progress: (line: string) => void;
};

export type ChaosResult = {
  seed: number;
  minutes: number;
  capacity?: Capacity;
  rate: number;
  /** Classes left out, and why. */
  left_out: Record<string, string>;
  faults: Record<string, { alone: number; paired: number }>;
  /** From the end of a fault until every sale was selling again, ms. */
  recovery_ms: { p50: number; p95: number; max: number; not_in_time: number };
  load: Record<string, number>;
  sales: number;
  orders: number;
  payments: number;
  drain_seconds: number;
  judgment: Judgment;
};

const LOAD_SHARE = 0.7;
const CAPACITY_STEP_MS = 4_000;
const RECOVERY_MS_MAX = 20_000;
/** Orders whose request is sent once more at the very end. */
const REPLAYS = 2_000;

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const begun = performance.now();
  mkdirSync(options.out, { recursive: true });
  const history_path = join(options.out, 'history.jsonl');
  const history = openHistory(history_path);
  const world = await startWorld({
    ...{ engines: options.engines, reconcilers: options.reconcilers, redis_settings: options.redis_settings },
    troubles: options.classes.some((name) => ['slow_disk', 'full_disk', 'clock'].includes(name)),
  });
  const http = createHttp(world.engine_urls);
  let result: ChaosResult | undefined;
  try {
    const run = { world, history, http, options, begun };
    const lived = await live(run);
    const drain_seconds = await drain(run);
    await lastLook(run, lived.client, lived.accepted, lived.sales);
    for (const what of world.surprises()) history.write({ t: 'surprise', what });
    history.close();
    options.progress('judging');
    const ledger = await readLedger(world.database_url);
    const payments = await readPayments(world.sandbox_journal);
    const judgment = judge(await readHistory(history_path), ledger, payments);
    result = {
      seed: options.seed,
      minutes: Math.round((performance.now() - begun) / 600) / 100,
      ...{ capacity: lived.capacity, rate: Math.round(lived.rate), left_out: lived.left_out },
      ...{ faults: countFaults(lived.struck), recovery_ms: recoveries(lived.struck), load: lived.counts },
      ...{ sales: lived.sales.length, orders: ledger.orders.length, payments: payments.length },
      ...{ drain_seconds, judgment },
    };
    writeFileSync(join(options.out, 'result.json'), `${JSON.stringify(result, undefined, 2)}\n`);
    return result;
  } finally {
    http.close();
    if (options.keep_logs || !result || result.judgment.violations.length > 0) {
      cpSync(join(world.dir, 'logs'), join(options.out, 'logs'), { recursive: true });
    }
    await world.close();
  }
}

type Run = {
  world: World;
  history: History;
  http: ReturnType<typeof createHttp>;
  options: ChaosOptions;
  begun: number;
};

async function live({ world, history, http, options }: Run) {
  const { seed, progress } = options;
  const random = seeded(seed + 1);
  const client = createClient({
    ...{ http, engines: options.engines, history, jwt_secret: world.jwt_secret, random, sleep },
  });
  await askSandbox(world, 'settings', { events: 'untold', slow_ms: 300, late_ms: 1_500 });
  const watcher = startWatcher(() => world.database_url, history);
  const accepted: Accepted[] = [];
  const sales: string[] = [];
  const shared = {
    ...{ client, history, random, hold_seconds: options.hold_seconds },
    accepted(order: Accepted) {
      accepted.push(order);
      watcher.accepted(order);
    },
  };
  let capacity: Capacity | undefined;
  if (options.rate === undefined) {
    capacity = await findCapacity({
      ...{ ...shared, step_ms: CAPACITY_STEP_MS, rate_max: options.rate_max, unsaved: watcher.unsaved },
      ended: (load) => sales.push(...load.sales),
    });
    progress(
      `capacity ${Math.round(capacity.rate)} requests/s (${capacity.steps.map(({ rate }) => rate).join(', ')})`,
    );
  }
  const rate = options.rate ?? LOAD_SHARE * (capacity?.rate ?? 0);
  const load = startLoad({
    ...{ ...shared, rate, sales: options.sales, sale_ms: options.sale_ms, name: `chaos-${seed}` },
  });
  const left_out: Record<string, string> = {};
  const faults = faultsOf({ ...options, troubles: world.trouble.missing === undefined });
  for (const name of options.classes) {
    if (!faults.some((fault) => fault.class === name)) left_out[name] = world.trouble.missing ?? 'unknown';
  }
  for (const [name, why] of Object.entries(left_out)) progress(`LEFT OUT: ${name}: ${why}`);

  const until = performance.now() + options.duration_ms;
  await load.serving(history.now_ms(), RECOVERY_MS_MAX);
  const struck = await strike({
    ...{ world, history, seed, faults, pause_ms: 300 },
    over: (count) => performance.now() > until || count >= (options.faults_max ?? Number.POSITIVE_INFINITY),
    recovered: (since_ms) => load.serving(since_ms, RECOVERY_MS_MAX),
    progress: ({ no, name, detail, recovered_ms, pair }) =>
      progress(
        `${no}${pair === undefined ? '' : ` with ${pair}`}: ${name}: ${detail}; ${recovered_ms === undefined ? 'NOT selling again' : `selling again after ${recovered_ms} ms`}`,
      ),
  });
  progress(`${struck.length} faults; the load ends: ${JSON.stringify(load.counts)}`);
  await load.stop();
  await watcher.stop();
  sales.push(...load.sales);
  return { client, accepted, sales, struck, capacity, rate, left_out, counts: load.counts };
}

/** Peace: nothing fails any more. Resolves when nothing is left to do, or the patience is over (the judge says what is left). */
async function drain({ world, options }: Run): Promise<number> {
  const begun = performance.now();
  for (let told = 0; performance.now() - begun < options.patience_ms; ) {
    await askSandbox(world, 'release', {}).catch(() => {});
    const left = await readUnderWay(world.database_url).catch(() => undefined);
    if (left && Object.values(left).every((count) => count === 0)) break;
    if (performance.now() - told > 5_000) {
      told = performance.now();
      options.progress(`left to do: ${JSON.stringify(left)}`);
    }
    await sleep(500);
  }
  return Math.round((performance.now() - begun) / 1_000);
}

/** What Redis has of each sale, and whether old keys still have their answers. */
async function lastLook(
  { history, options }: Run,
  client: Client,
  accepted: readonly Accepted[],
  sales: readonly string[],
): Promise<void> {
  const random = seeded(options.seed + 2);
  const chosen = accepted.filter(() => random() < REPLAYS / Math.max(accepted.length, 1));
  for (const { purchase } of chosen) {
    for (let no = 0; no < 20; no++) {
      const { status } = await client.buy(purchase, 'replay');
      if (status !== undefined && status < 500 && status !== 429) break;
      await sleep(500);
    }
  }
  for (const sale of sales) {
    for (let no = 0; no < 40; no++) {
      const items = await client.stock(sale);
      if (items) history.write({ t: 'stock', sale, items });
      if (items) break;
      await sleep(500);
    }
  }
}

async function askSandbox(world: World, what: string, body: object): Promise<void> {
  const response = await fetch(`${world.sandbox_url}/admin/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.psp_secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) throw new Error(`sandbox ${what}: ${response.status}`);
}

function countFaults(struck: readonly FaultLine[]): ChaosResult['faults'] {
  const counts: ChaosResult['faults'] = {};
  for (const { class: name, pair, failed } of struck) {
    if (failed) continue;
    counts[name] ??= { alone: 0, paired: 0 };
    counts[name][pair === undefined ? 'alone' : 'paired'] += 1;
  }
  return counts;
}

function recoveries(struck: readonly FaultLine[]): ChaosResult['recovery_ms'] {
  const known = struck
    .map(({ recovered_ms }) => recovered_ms)
    .filter((ms) => ms !== undefined)
    .sort((a, b) => a - b);
  const at = (share: number) => known[Math.min(known.length - 1, Math.floor(share * known.length))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), max: known.at(-1) ?? 0, not_in_time: struck.length - known.length };
}
