/**
 * npm run slow-sockets: what 10,000 clients that take their time do to the others. Rounds with and without them by turns, so
 * that what else the machine does falls on both; the answer is the median of what each pair of rounds says. The slow ones
 * are a process of their own; this one is only the others, and tells how long it was itself held up.
 */
import { loadavg } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../bench/lab/machine.ts';
import { startWorld, type World } from '../../bench/lab/world.ts';
import { residentMib } from './memory.ts';
import { startProbe } from './probe.ts';
import { SLOW_KINDS, type SlowKind } from './slow-child.ts';
import { type SlowCrowd, startSlow } from './slow-crowd.ts';
import { median, round, type Tally } from './tally.ts';

const HELP = `npm run slow-sockets -- [options]
  --sockets N     slow clients (10000)
  --addresses N   they come from so many addresses (100); one address has at most 1000 connections
  --opens N       connections that they begin a second, all together (1500); 0: all at once, again and again
  --kinds LIST    of ${SLOW_KINDS.join(', ')} (all)
  --rounds N      pairs of rounds, without and with them (5)
  --seconds N     length of a round (16)
  --rate N        requests a second of the others (200)
  --bar N         exit code 1 if p99 of the others grows to more than N times (off)
  --quick         2 pairs of 12 seconds
Exit code 1 if one of the others got anything but 201, or the books are wrong.`;

type Options = {
  sockets: number;
  addresses: number;
  opens_per_second: number;
  kinds: readonly SlowKind[];
  rounds: number;
  seconds: number;
  rate: number;
  say: (line: string) => void;
};

type Round = {
  slow: boolean;
  /** Connections that the engine had at the end of the round, and those thrown out during it. */
  connections: number;
  thrown_out: number;
  others: Pick<Tally, 'counts' | 'accepted_ms'>;
  /** The longest that the event loops of the engine and of the others were held up, ms. */
  engine_held_up_ms: number;
  others_held_up_ms: number;
  memory_mib: number;
};

/** The default of an engine. */
const PER_ADDRESS_MAX = 1_000;

async function slowSockets(options: Options) {
  const { say, rounds: pairs } = options;
  const machine = { ...describeMachine(), load: loadavg().map(round) };
  const world = await startWorld({ CONNECTION_LIMIT_IP: String(PER_ADDRESS_MAX) });
  const rounds: Round[] = [];
  try {
    const sale_id = await world.sale({ skus: 1, qty: 1_000_000_000 });
    const release = world.holdBack();
    await runRound(world, sale_id, { ...options, seconds: 3 }, false);
    for (let pair = 0; pair < pairs; pair++) {
      for (const slow of pair % 2 === 0 ? [false, true] : [true, false]) {
        const one = await runRound(world, sale_id, options, slow);
        rounds.push(one);
        say(told(one));
      }
    }
    release();
    const wrong = await world.audit([sale_id]);
    for (const { others } of rounds) {
      for (const [what, count] of Object.entries(others.counts)) {
        if (what !== '201') wrong.push(`the others got ${count} times ${what}`);
      }
    }
    return {
      machine,
      rounds,
      // Medians over the pairs: with the slow ones, as parts of without them.
      p99_ratio: ratio(rounds, (of) => of.others.accepted_ms.p99),
      p90_ratio: ratio(rounds, (of) => of.others.accepted_ms.p90),
      p50_ratio: ratio(rounds, (of) => of.others.accepted_ms.p50),
      wrong,
    };
  } finally {
    await world.close();
  }
}

const told = (one: Round): string => {
  const { p50, p99, max } = one.others.accepted_ms;
  return (
    `${one.slow ? 'slow' : 'none'}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms; held up engine ${one.engine_held_up_ms} ms, ` +
    `others ${one.others_held_up_ms} ms; ${one.connections} connections, ${one.thrown_out} thrown out; ${one.memory_mib} MiB`
  );
};

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

async function runRound(world: World, sale_id: string, options: Options, slow: boolean): Promise<Round> {
  const url = new URL(world.stack.url);
  const target = { host: url.hostname, port: Number(url.port) };
  /** The longest delay is that since it was last asked for. */
  const engine = async () => {
    const text = await (await fetch(`${url.origin}/metrics`)).text();
    const read = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    return {
      connections: read('stampede_connections'),
      held_up_ms: round(read('nodejs_eventloop_lag_max_seconds') * 1_000),
    };
  };
  const tokens = Array.from({ length: 200 }, (_, i) => world.stack.api.token(`other-${i}`, 'buyer'));
  let crowd: SlowCrowd | undefined;
  if (slow) {
    const { sockets, addresses, opens_per_second, kinds } = options;
    crowd = await startSlow({
      ...{ ...target, sockets, opens_per_second, kinds },
      per_address: Math.ceil(sockets / addresses),
      token: world.stack.api.token('slow', 'buyer'),
    });
  }
  const before = crowd?.state().thrown_out ?? 0;
  await engine();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const probe = startProbe({
    ...{ ...target, sale_id, tokens },
    ...{ sku: 'sku-0000000', rate_per_second: options.rate },
    key_prefix: `slow-round-${names++}-${Date.now().toString(36)}`,
  });
  await sleep(options.seconds * 1_000);
  const { counts, accepted_ms } = await probe.end();
  delay.disable();
  const { connections, held_up_ms } = await engine();
  const one = {
    slow,
    connections,
    thrown_out: (crowd?.state().thrown_out ?? 0) - before,
    others: { counts, accepted_ms },
    engine_held_up_ms: held_up_ms,
    others_held_up_ms: round(delay.max / 1e6),
    memory_mib: residentMib(world.stack.pidOf('engine')),
  };
  await crowd?.end();
  while ((await engine()).connections > 100) await sleep(100);
  return one;
}

const { values } = parseArgs({
  options: {
    sockets: { type: 'string', default: '10000' },
    addresses: { type: 'string', default: '100' },
    opens: { type: 'string', default: '1500' },
    kinds: { type: 'string', default: SLOW_KINDS.join(',') },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rate: { type: 'string', default: '200' },
    bar: { type: 'string', default: 'Infinity' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const kinds = SLOW_KINDS.filter((kind) => values.kinds.split(',').includes(kind));
const result = await slowSockets({
  ...{ sockets: Number(values.sockets), addresses: Number(values.addresses), kinds },
  opens_per_second: Number(values.opens),
  rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
  seconds: Number(values.seconds ?? (values.quick ? 12 : 16)),
  rate: Number(values.rate),
  say: (line) => console.error(line),
});
console.log(JSON.stringify(result, undefined, 2));
process.exit(result.wrong.length > 0 || result.p99_ratio > Number(values.bar) ? 1 : 0);
