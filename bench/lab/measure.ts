/** One run of load against one place: what was answered, and what each process spent on it. */

import type { ClientResult } from './clients/client.ts';
import { type Counts, difference } from './counts.ts';
import { cpuSeconds } from './cpu.ts';

export type Spot = {
  /** Of the requests. */
  url: string;
  /** By name; descendants count with them. */
  pids: Readonly<Record<string, number>>;
  /** What became of all checkouts so far; absent where nothing is decided (echo). */
  counts?: () => Promise<Counts>;
};

export type Measurement = ClientResult & {
  /** CPU of each process for one answer, us. */
  cpu_us: Record<string, number>;
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
  const result = await client(spot.url);
  const after = used();
  const cpu_us = Object.fromEntries(
    names.map((name, i) => [name, (((after[i] ?? 0) - (before[i] ?? 0)) * 1e6) / result.requests]),
  );
  const counts = counted && spot.counts ? difference(await spot.counts(), counted) : undefined;
  return { ...result, cpu_us, ...(counts ? { counts } : {}) };
}
