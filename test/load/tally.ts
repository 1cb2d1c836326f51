/** Answers counted, and how long they took. */

export type Tally = {
  /** By status; `broken`: connections that ended without an answer; `silent`: refusals (429, 503) without Retry-After. */
  counts: Counts;
  /** The same for each second since the start. */
  seconds: Counts[];
  /** Of answers 201, ms. */
  accepted_ms: Percentiles;
};

export type Counts = Record<string, number>;

export type Percentiles = { count: number; p50: number; p90: number; p99: number; max: number };

export function createTally() {
  const began_ms = performance.now();
  const counts: Counts = {};
  const seconds: Counts[] = [];
  const accepted: number[] = [];
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
    const second = Math.floor((performance.now() - began_ms) / 1_000);
    while (seconds.length <= second) seconds.push({});
    const of_second = seconds[second] as Counts;
    of_second[what] = (of_second[what] ?? 0) + 1;
  };
  return {
    answered({ status, retry_after }: { status: number; retry_after: boolean }, taken_ms: number) {
      count(String(status));
      if (status === 201) accepted.push(taken_ms);
      if ((status === 503 || status === 429) && !retry_after) count('silent');
    },
    broken: () => count('broken'),
    read: (): Tally => ({ counts: { ...counts }, seconds, accepted_ms: percentiles(accepted) }),
  };
}

/** Added up, what happened in the same second together. */
export function addTallies(tallies: readonly Tally[]): Pick<Tally, 'counts' | 'seconds'> {
  const sum = (all: readonly Counts[]): Counts => {
    const total: Counts = {};
    for (const of of all)
      for (const [what, count] of Object.entries(of)) total[what] = (total[what] ?? 0) + count;
    return total;
  };
  const length = Math.max(...tallies.map(({ seconds }) => seconds.length));
  return {
    counts: sum(tallies.map(({ counts }) => counts)),
    seconds: Array.from({ length }, (_, i) => sum(tallies.map(({ seconds }) => seconds[i] ?? {}))),
  };
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return {
    count: sorted.length,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: round(sorted.at(-1) ?? Number.NaN),
  };
}

export const round = (value: number): number => Math.round(value * 100) / 100;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const both = sorted.length % 2 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return both ?? Number.NaN;
}
