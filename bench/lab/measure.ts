/** One run of load against one place: what was answered, and what each process spent on it. */

import type { ClientResult } from './clients/client.ts';
import { type Counts, difference } from './counts.ts';
import { cpuSeconds } from './cpu.ts';
import type { World } from './world.ts';

export type Spot = {
  /** Of the requests. */
  url: string;
  /** By name; descendants count with them. */
  pids: Readonly<Record<string, number>>;
  /** What became of all checkouts so far; absent where nothing is decided (echo). */
  counts?: () => Promise<Counts>;
  /** Resolves when what the answers left to be done is done: the ledger has it. Its CPU counts as theirs. */
  settle?: () => Promise<void>;
  /** Resolves when nothing of the run is under way any more, so that it is not in the way of the next. */
  rest?: () => Promise<void>;
  /** What is measured runs within. */
  alone?: World['alone'];
};

export type Measurement = ClientResult & {
  /** CPU of each process for one answer, us. */
  cpu_us: Record<string, number>;
  /** From the last answer until the ledger had everything. */
  drain_s?: number;
  counts?: Counts;
};

/** `client`: sends to the URL until it is done. */
export async function measure(
  spot: Spot,
  client: (url: string) => Promise<ClientResult>,
): Promise<Measurement> {
  const names = Object.keys(spot.pids);
  const used = () => names.map((name) => cpuSeconds(spot.pids[name] ?? 0));
  const counted = await spot.counts?.();
  const before = used();
  const result = await (spot.alone ? spot.alone(() => client(spot.url)) : client(spot.url));
  const answered_ms = performance.now();
  await spot.settle?.();
  const drain_s = spot.settle && (performance.now() - answered_ms) / 1_000;
  const after = used();
  const cpu_us = Object.fromEntries(
    names.map((name, i) => [name, (((after[i] ?? 0) - (before[i] ?? 0)) * 1e6) / result.requests]),
  );
  const counts = counted && spot.counts ? difference(await spot.counts(), counted) : undefined;
  await spot.rest?.();
  return { ...result, cpu_us, drain_s, ...(counts ? { counts } : {}) };
}
