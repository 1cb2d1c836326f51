/**
 * One phase of an overload: a crowd of so many connections on one SKU, and beside it a few buyers of another SKU of the same
 * sale, in an open loop, who say how long it takes to be let in.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../../bench/lab/world.ts';
import { runFlood } from './flood.ts';
import { startProbe } from './probe.ts';
import { addTallies, type Counts, type Tally } from './tally.ts';

export type PhaseOptions = {
  connections: number;
  seconds: number;
  /** Processes that are the crowd. */
  clients: number;
  /** Requests a second of those beside it. */
  probe_rate: number;
  /** With two SKUs. */
  sale_id: string;
  /** More than can be served: what is measured begins when some are refused. */
  overloads?: boolean;
  /** Told every few seconds while it lasts. */
  say?: (line: string) => void;
};

export type Phase = {
  sale_id: string;
  seconds: number;
  connections: number;
  counts: Counts;
  /** A second, while there was something to sell and the rush was over; of all answers while it lasted. */
  accepted_per_s: number;
  answers_per_s: number;
  /** Of the crowd's own accepted requests, ms: of the process that saw the worse. */
  crowd_ms: Tally['accepted_ms'];
  probe: Pick<Tally, 'counts' | 'accepted_ms'>;
  /** Was the engine refusing when the crowd was there? */
  shedding: boolean;
};

/** A rush is no overload: so long nobody is refused, and nothing is measured. */
const RUSH_MS = 3_000;
const SAY_EVERY_MS = 3_000;
let phases = 0;

export async function runPhase(world: World, options: PhaseOptions): Promise<Phase> {
  const { connections, seconds, clients, sale_id } = options;
  const url = new URL(world.stack.url);
  const name = `phase${phases++}-${Date.now().toString(36)}`;
  const tokens = Array.from({ length: 200 }, (_, i) => world.stack.api.token(`crowd-${i}`, 'buyer'));
  const shared = { host: url.hostname, port: Number(url.port), sale_id, tokens };
  const floods = Array.from({ length: clients }, (_, i) =>
    runFlood({
      ...{ ...shared, sku: 'sku-0000000', seconds },
      connections: Math.ceil(connections / clients),
      key_prefix: `${name}-${i}`,
    }),
  );
  const shedding = async () =>
    /^stampede_shedding 1$/m.test(await (await fetch(`${url.origin}/metrics`)).text());
  const began_ms = performance.now();
  const rush_ms = Math.min(RUSH_MS, seconds * 400);
  await sleep(rush_ms);
  if (options.overloads) {
    while (!(await shedding()) && performance.now() - began_ms < 2 * rush_ms) await sleep(100);
    await sleep(500);
  }
  const measured_from_s = Math.ceil((performance.now() - began_ms) / 1_000);
  const probe = startProbe({
    ...{ ...shared, sku: 'sku-0000001' },
    rate_per_second: options.probe_rate,
    key_prefix: `${name}-probe`,
  });
  let refused = false;
  const flooded = Promise.all(floods);
  const over = flooded.then(() => true);
  while (!(await Promise.race([over, sleep(SAY_EVERY_MS, false)]))) {
    refused ||= await shedding();
    options.say?.(
      `  ${Math.round((performance.now() - began_ms) / 1_000)} s${refused ? ', some are refused' : ''}`,
    );
  }
  const tallies = await flooded;
  const { counts: beside, accepted_ms } = await probe.end();
  const { counts, seconds: by_second } = addTallies(tallies);
  const selling = by_second.slice(measured_from_s, seconds - 1).filter((of) => !of['409']);
  const answers = Object.entries(counts).filter(([what]) => /^\d+$/.test(what));
  return {
    ...{ sale_id, seconds, connections, counts, shedding: refused },
    accepted_per_s: Math.round(selling.reduce((sum, of) => sum + (of['201'] ?? 0), 0) / selling.length),
    answers_per_s: Math.round(answers.reduce((sum, [, count]) => sum + count, 0) / seconds),
    crowd_ms: tallies.reduce((a, b) => (b.accepted_ms.p99 > a.accepted_ms.p99 ? b : a)).accepted_ms,
    probe: { counts: beside, accepted_ms },
  };
}
