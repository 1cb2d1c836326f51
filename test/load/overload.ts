/**
 * npm run overload: what an engine does when several times as much comes in as it can answer. First its capacity, with as
 * many connections as that takes; then a crowd of `--times` as many, all asking again at once whatever they are told. A
 * few buyers beside them, in an open loop, say how long it takes to be let in, in both phases.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../bench/lab/machine.ts';
import { startWorld, type World } from '../../bench/lab/world.ts';
import { runFlood } from './flood.ts';
import { residentMib, watchMemory } from './memory.ts';
import { startProbe } from './probe.ts';
import { round, type Tally } from './tally.ts';

const HELP = `npm run overload -- [options]
  --seconds N      how long the overload lasts (60)
  --times N        so many times the connections that saturate the engine (10)
  --connections N  connections that saturate it (256)
  --clients N      processes that are the crowd (2)
  --json           the result as JSON only
Exit code 1 if an answer was none of 201, 409, 429, 503, a refusal had no Retry-After, memory grew, or the books are wrong.`;

export type OverloadOptions = {
  seconds: number;
  times: number;
  connections: number;
  clients: number;
  capacity_seconds: number;
  probe_rate: number;
  say: (line: string) => void;
};

export type Phase = {
  seconds: number;
  connections: number;
  answers_per_s: number;
  accepted_per_s: number;
  counts: Record<string, number>;
  /** Of the crowd's own accepted requests, ms. */
  crowd_ms: Tally['accepted_ms'];
  probe: Tally;
  /** Was the engine refusing when the crowd was there? */
  shedding: boolean;
};

export type OverloadResult = {
  machine: ReturnType<typeof describeMachine> & { load: number[] };
  capacity: Phase;
  overload: Phase;
  after: Phase;
  memory_mib: { before: number; middle: number; end: number; max: number };
  /** What must not be: empty if all is well. */
  wrong: string[];
};

export async function overload(options: OverloadOptions): Promise<OverloadResult> {
  const { say } = options;
  const machine = { ...describeMachine(), load: loadavg().map(round) };
  const world = await startWorld({ CONNECTION_LIMIT_IP: 'off' });
  try {
    const sale_id = await world.sale({ skus: 1, qty: 1_000_000_000 });
    const engine = world.stack.pidOf('engine');
    const phase = (connections: number, seconds: number) =>
      runPhase(world, { ...options, connections, seconds, sale_id });
    const release = world.holdBack();
    await phase(options.connections, 3);
    say(`capacity: ${options.connections} connections for ${options.capacity_seconds} s`);
    const capacity = await phase(options.connections, options.capacity_seconds);
    say(told(capacity));
    const before = residentMib(engine);
    const memory = watchMemory(engine);
    say(`overload: ${options.times * options.connections} connections for ${options.seconds} s`);
    const loaded = await phase(options.times * options.connections, options.seconds);
    say(told(loaded));
    const seen = memory.end();
    say(`afterwards: ${options.connections} connections for ${options.capacity_seconds} s`);
    const after = await phase(options.connections, options.capacity_seconds);
    say(told(after));
    release();
    say('books: waiting until the ledger has everything');
    const wrong = await world.audit([sale_id]);
    const memory_mib = {
      before,
      middle: seen[Math.floor(seen.length / 2)] ?? Number.NaN,
      end: seen.at(-1) ?? Number.NaN,
      max: Math.max(...seen),
    };
    wrong.push(...wrongOf([capacity, loaded, after]), ...memoryWrong(memory_mib, options));
    return { machine, capacity, overload: loaded, after, memory_mib, wrong };
  } finally {
    await world.close();
  }
}

let phases = 0;

async function runPhase(world: World, options: OverloadOptions & { sale_id: string }): Promise<Phase> {
  const { connections, seconds, clients, sale_id } = options;
  const url = new URL(world.stack.url);
  const name = `phase${phases++}-${Date.now().toString(36)}`;
  const tokens = Array.from({ length: 200 }, (_, i) => world.stack.api.token(`crowd-${i}`, 'buyer'));
  const shared = { host: url.hostname, port: Number(url.port), sale_id, sku: 'sku-0000000', tokens };
  const floods = Array.from({ length: clients }, (_, i) =>
    runFlood({
      ...shared,
      connections: Math.ceil(connections / clients),
      seconds,
      key_prefix: `${name}-${i}`,
    }),
  );
  // A rush is no overload: the first two seconds belong to it.
  await new Promise((resolve) => setTimeout(resolve, Math.min(2_500, seconds * 400)));
  const probe = startProbe({ ...shared, rate_per_second: options.probe_rate, key_prefix: `${name}-probe` });
  await new Promise((resolve) => setTimeout(resolve, seconds * 400));
  const shedding = /^stampede_shedding 1$/m.test(await (await fetch(`${url.origin}/metrics`)).text());
  const tallies = await Promise.all(floods);
  const probed = await probe.end();
  const counts: Record<string, number> = {};
  for (const tally of tallies) {
    for (const [what, count] of Object.entries(tally.counts)) counts[what] = (counts[what] ?? 0) + count;
  }
  const answers = Object.entries(counts).reduce(
    (sum, [what, count]) => sum + (/^\d+$/.test(what) ? count : 0),
    0,
  );
  const worst = tallies.reduce((a, b) => (b.accepted_ms.p99 > a.accepted_ms.p99 ? b : a));
  return {
    seconds,
    connections,
    answers_per_s: Math.round(answers / seconds),
    accepted_per_s: Math.round((counts['201'] ?? 0) / seconds),
    counts,
    crowd_ms: worst.accepted_ms,
    probe: probed,
    shedding,
  };
}

const told = ({ answers_per_s, accepted_per_s, probe, crowd_ms, counts }: Phase): string =>
  `  ${answers_per_s} answers/s, ${accepted_per_s} accepted/s; who is let in waits p50 ${probe.accepted_ms.p50} ms, ` +
  `p99 ${probe.accepted_ms.p99} ms (of the crowd p99 ${crowd_ms.p99} ms); ${JSON.stringify(counts)}, beside it ${JSON.stringify(probe.counts)}`;

const EXPECTED = ['201', '409', '429', '503'];

function wrongOf(all: readonly Phase[]): string[] {
  return all.flatMap(({ counts, probe }, i) =>
    [counts, probe.counts].flatMap((of) =>
      Object.entries(of)
        .filter(([what]) => !EXPECTED.includes(what))
        .map(([what, count]) => `phase ${i}: ${count} times ${what}`),
    ),
  );
}

/** Flat: what it takes to hold the connections is there by the middle; after that nothing is added. */
function memoryWrong(memory: OverloadResult['memory_mib'], { seconds }: OverloadOptions): string[] {
  if (seconds < 20 || Number.isNaN(memory.end)) return [];
  const grown = memory.end / memory.middle;
  return grown > 1.15 ? [`memory grew from ${memory.middle} to ${memory.end} MiB in the second half`] : [];
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      times: { type: 'string', default: '10' },
      connections: { type: 'string', default: '256' },
      clients: { type: 'string', default: '2' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const result = await overload({
    seconds: Number(values.seconds),
    times: Number(values.times),
    connections: Number(values.connections),
    clients: Number(values.clients),
    capacity_seconds: Math.min(15, Number(values.seconds)),
    probe_rate: 100,
    say: (line) => console.error(line),
  });
  const { capacity, overload: loaded } = result;
  const ratio = round(loaded.probe.accepted_ms.p99 / capacity.probe.accepted_ms.p99);
  console.log(JSON.stringify(values.json ? result : { ...result, p99_ratio: ratio }, undefined, 2));
  process.exit(result.wrong.length > 0 ? 1 : 0);
}
