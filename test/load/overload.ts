/**
 * npm run overload: what an engine does when several times as much comes in as it can answer. First its capacity, with as
 * many connections as that takes; then a crowd of `--times` as many, all asking again at once whatever they are told,
 * until everything is sold out and on; then the capacity again. At the end the books of all three sales.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../bench/lab/machine.ts';
import { startWorld, type World } from '../../bench/lab/world.ts';
import { createPool } from '../../platform/postgres.ts';
import { residentMib, watchMemory } from './memory.ts';
import { type Phase, runPhase } from './phase.ts';
import { round } from './tally.ts';

const HELP = `npm run overload -- [options]
  --seconds N      how long the overload lasts (60)
  --times N        so many times the connections that saturate the engine (10)
  --connections N  connections that saturate it (256)
  --units N        units that the crowd can buy in the overload; then it is sold out (400000)
  --clients N      processes that are the crowd (2)
  --quick          12 seconds, 60,000 units, phases of 4 seconds
  --json           the result as JSON only
Exit code 1 if an answer was none of 201, 409, 429, 503, a refusal had no Retry-After, memory grew, or the books are wrong.`;

type OverloadOptions = {
  seconds: number;
  times: number;
  connections: number;
  units: number;
  clients: number;
  capacity_seconds: number;
  say: (line: string) => void;
};

type Memory = { start: number; before: number; middle: number; end: number; peak: number; after: number };

type OverloadResult = {
  machine: ReturnType<typeof describeMachine> & { load: number[] };
  capacity: Phase;
  overload: Phase;
  after: Phase;
  /** Overload as a part of capacity: p99 of those let in beside the crowd, and what was accepted a second. */
  ratios: { p99: number; p50: number; accepted: number };
  /** Of the engine, resident. */
  memory_mib: Memory;
  /** What must not be: empty if all is well. */
  wrong: string[];
};

const PROBE_RATE = 100;
const MANY_UNITS = 100_000_000;

async function overload(options: OverloadOptions): Promise<OverloadResult> {
  const { say, connections, clients } = options;
  const machine = { ...describeMachine(), load: loadavg().map(round) };
  const world = await startWorld({ CONNECTION_LIMIT_IP: 'off' });
  try {
    const engine = world.stack.pidOf('engine');
    const start = residentMib(engine);
    // Sales open before the ledger is held back.
    const [warm_up, first, hot, last] = (await Promise.all(
      [MANY_UNITS, MANY_UNITS, options.units, MANY_UNITS].map((qty) => world.sale({ skus: 2, qty })),
    )) as [string, string, string, string];
    const calm = (sale_id: string, seconds: number) =>
      runPhase(world, { sale_id, connections, clients, seconds, probe_rate: PROBE_RATE });
    const release = world.holdBack();
    const warm = await calm(warm_up, 3);
    say(`capacity: ${connections} connections for ${options.capacity_seconds} s`);
    const capacity = await calm(first, options.capacity_seconds);
    say(told(capacity));
    const before = residentMib(engine);
    const memory = watchMemory(engine);
    say(`overload: ${options.times * connections} connections for ${options.seconds} s`);
    const loaded = await runPhase(world, {
      ...{ clients, say, seconds: options.seconds, probe_rate: PROBE_RATE },
      sale_id: hot,
      overloads: true,
      connections: options.times * connections,
    });
    const seen = memory.end();
    say(told(loaded));
    say(`afterwards: ${connections} connections for ${options.capacity_seconds} s`);
    const after = await calm(last, options.capacity_seconds);
    say(told(after));
    const memory_mib: Memory = {
      ...{ start, before, middle: seen[Math.floor(seen.length / 2)] ?? Number.NaN },
      ...{ end: seen.at(-1) ?? Number.NaN, peak: Math.max(...seen), after: residentMib(engine) },
    };
    release();
    const phases = [capacity, loaded, after];
    const wrong = await audited(world, [warm, ...phases], say);
    wrong.push(...phases.flatMap(wrongOf), ...memoryWrong(memory_mib, options.seconds));
    const ratio = (read: (phase: Phase) => number) => round(read(loaded) / read(capacity));
    const ratios = {
      p99: ratio((phase) => phase.probe.accepted_ms.p99),
      p50: ratio((phase) => phase.probe.accepted_ms.p50),
      accepted: ratio((phase) => phase.accepted_per_s),
    };
    return { machine, capacity, overload: loaded, after, ratios, memory_mib, wrong };
  } finally {
    await world.close();
  }
}

/** Waits until the ledger has everything, and tells how far it is. */
async function audited(
  world: World,
  phases: readonly Phase[],
  say: (line: string) => void,
): Promise<string[]> {
  const accepted = phases.reduce(
    (sum, { counts, probe }) => sum + (counts['201'] ?? 0) + (probe.counts['201'] ?? 0),
    0,
  );
  const audit = world.audit(phases.map(({ sale_id }) => sale_id));
  const done = audit.then(() => true);
  const db = createPool({
    url: world.env.DATABASE_URL,
    max: 1,
    application_name: 'overload',
    on_error: () => {},
  });
  while (!(await Promise.race([done, sleep(5_000, false)]))) {
    const { rows } = await db.query('SELECT sum(reserved + sold) AS units FROM skus');
    say(`books: the ledger has ${rows[0]?.units} orders of at least ${accepted}`);
  }
  await db.end();
  return audit;
}

const told = ({ answers_per_s, accepted_per_s, probe, crowd_ms, counts }: Phase): string =>
  `  ${accepted_per_s} accepted/s while there was something to sell, ${answers_per_s} answers/s in all; who is let in waits ` +
  `p50 ${probe.accepted_ms.p50} ms, p99 ${probe.accepted_ms.p99} ms (of the crowd p50 ${crowd_ms.p50} ms, p99 ${crowd_ms.p99} ms); ` +
  `${JSON.stringify(counts)}, beside it ${JSON.stringify(probe.counts)}`;

const EXPECTED = ['201', '409', '429', '503'];

function wrongOf({ counts, probe }: Phase, i: number): string[] {
  return [counts, probe.counts].flatMap((of) =>
    Object.entries(of)
      .filter(([what]) => !EXPECTED.includes(what))
      .map(([what, count]) => `phase ${i}: ${count} times ${what}`),
  );
}

/** Flat: what it takes to hold the connections is there by the middle; after that a collector's whim may be added, and no more. */
const GROWN_MIB_MAX = 48;

function memoryWrong(memory: Memory, seconds: number): string[] {
  if (seconds < 20 || Number.isNaN(memory.end)) return [];
  return memory.end - memory.middle > GROWN_MIB_MAX
    ? [`memory grew from ${memory.middle} to ${memory.end} MiB in the second half`]
    : [];
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    times: { type: 'string', default: '10' },
    connections: { type: 'string', default: '256' },
    units: { type: 'string' },
    clients: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const result = await overload({
  seconds: Number(values.seconds ?? (values.quick ? 12 : 60)),
  times: Number(values.times),
  connections: Number(values.connections),
  units: Number(values.units ?? (values.quick ? 60_000 : 400_000)),
  clients: Number(values.clients),
  capacity_seconds: values.quick ? 4 : 10,
  say: values.json ? () => {} : (line) => console.error(line),
});

console.log(JSON.stringify(result, undefined, 2));
process.exit(result.wrong.length > 0 ? 1 : 0);
