/**
 * npm run slow-sockets: what 10,000 clients that send a byte now and then do to the others. Rounds with and without them by
 * turns, so that what else the machine does falls on both; the answer is the median of what each pair of rounds says.
 */
import { fork } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../bench/lab/machine.ts';
import { startWorld, type World } from '../../bench/lab/world.ts';
import { residentMib } from './memory.ts';
import { startProbe } from './probe.ts';
import type { SlowOptions } from './slow-child.ts';
import { median, round, type Tally } from './tally.ts';

const HELP = `npm run slow-sockets -- [options]
  --sockets N   slow clients (10000)
  --rounds N    pairs of rounds, without and with them (5)
  --seconds N   length of a round (15)
  --rate N      requests a second of the others (200)
Exit code 1 if one of the others got anything but 201.`;

export type SlowSocketsOptions = {
  sockets: number;
  rounds: number;
  seconds: number;
  rate: number;
  say: (line: string) => void;
};

export type Round = { slow: boolean; open: number; thrown_out: number; probe: Tally; memory_mib: number };

export type SlowSocketsResult = {
  machine: ReturnType<typeof describeMachine> & { load: number[] };
  rounds: Round[];
  /** Medians over the pairs: with the slow ones, as parts of without them. */
  p99_ratio: number;
  p50_ratio: number;
  wrong: string[];
};

/** As a shop would have it: one address does not get far. */
const PER_ADDRESS = 100;
/** Shorter than the 10 s after which the server closes who is silent. */
const EVERY_MS = 4_000;

export async function slowSockets(options: SlowSocketsOptions): Promise<SlowSocketsResult> {
  const { say, rounds: pairs } = options;
  const machine = { ...describeMachine(), load: loadavg().map(round) };
  const world = await startWorld({ CONNECTION_LIMIT_IP: '1000' });
  const rounds: Round[] = [];
  try {
    const sale_id = await world.sale({ skus: 1, qty: 1_000_000_000 });
    const release = world.holdBack();
    await runRound(world, sale_id, options, false);
    for (let pair = 0; pair < pairs; pair++) {
      for (const slow of pair % 2 === 0 ? [false, true] : [true, false]) {
        const one = await runRound(world, sale_id, options, slow);
        rounds.push(one);
        const { p50, p99, max } = one.probe.accepted_ms;
        say(
          `${slow ? `${one.open} slow` : 'none slow'}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms; ${one.memory_mib} MiB; thrown out ${one.thrown_out}`,
        );
      }
    }
    release();
    const wrong = await world.audit([sale_id]);
    for (const { probe } of rounds) {
      for (const [what, count] of Object.entries(probe.counts)) {
        if (what !== '201') wrong.push(`the others got ${count} times ${what}`);
      }
    }
    return {
      machine,
      rounds,
      p99_ratio: ratio(rounds, (of) => of.probe.accepted_ms.p99),
      p50_ratio: ratio(rounds, (of) => of.probe.accepted_ms.p50),
      wrong,
    };
  } finally {
    await world.close();
  }
}

function ratio(rounds: readonly Round[], read: (of: Round) => number): number {
  const ratios: number[] = [];
  for (let i = 0; i + 1 < rounds.length; i += 2) {
    const pair = rounds.slice(i, i + 2);
    const [without, with_them] = [pair.find((one) => !one.slow), pair.find((one) => one.slow)];
    if (without && with_them) ratios.push(read(with_them) / read(without));
  }
  return round(median(ratios));
}

let names = 0;

async function runRound(
  world: World,
  sale_id: string,
  options: SlowSocketsOptions,
  slow: boolean,
): Promise<Round> {
  const url = new URL(world.stack.url);
  const target = { host: url.hostname, port: Number(url.port) };
  const crowd = slow
    ? await startSlow({ ...target, token: world.stack.api.token('slow', 'buyer') }, options)
    : undefined;
  const tokens = Array.from({ length: 200 }, (_, i) => world.stack.api.token(`other-${i}`, 'buyer'));
  const key_prefix = `slow-round-${names++}-${Date.now().toString(36)}`;
  const probe = startProbe({
    ...target,
    sale_id,
    sku: 'sku-0000000',
    tokens,
    rate_per_second: options.rate,
    key_prefix,
  });
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1_000));
  const tally = await probe.end();
  const memory_mib = residentMib(world.stack.pidOf('engine'));
  const { open = 0, thrown_out = 0 } = crowd?.end() ?? {};
  if (slow) await new Promise((resolve) => setTimeout(resolve, 1_500));
  return { slow, open, thrown_out, probe: tally, memory_mib };
}

/** Resolves when nearly all of them are there. */
function startSlow(
  target: Pick<SlowOptions, 'host' | 'port' | 'token'>,
  { sockets }: SlowSocketsOptions,
): Promise<{ end(): { open: number; thrown_out: number } }> {
  const child = fork(fileURLToPath(new URL('./slow-child.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    stdio: 'inherit',
  });
  let last = { open: 0, thrown_out: 0 };
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the slow clients ended with ${code}`)));
    child.on('message', (told) => {
      last = told as typeof last;
      if (last.open < sockets * 0.95) return;
      resolve({
        end() {
          child.kill('SIGKILL');
          return last;
        },
      });
    });
    child.send({ ...target, sockets, per_address: PER_ADDRESS, every_ms: EVERY_MS } satisfies SlowOptions);
  });
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const { values } = parseArgs({
    options: {
      sockets: { type: 'string', default: '10000' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '15' },
      rate: { type: 'string', default: '200' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const result = await slowSockets({
    sockets: Number(values.sockets),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    rate: Number(values.rate),
    say: (line) => console.error(line),
  });
  console.log(JSON.stringify(result, undefined, 2));
  process.exit(result.wrong.length > 0 ? 1 : 0);
}
