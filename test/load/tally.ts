/** Answers counted, and how long they took. */

export type Tally = {
  /** By status; `broken`: connections that ended without an answer; `silent`: refusals (429, 503) without Retry-After. */
  counts: Record<string, number>;
  /** Of answers 201, ms. */
  accepted_ms: Percentiles;
};

export type Percentiles = { count: number; p50: number; p90: number; p99: number; max: number };

export function createTally() {
  const counts: Record<string, number> = {};
  const accepted: number[] = [];
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  return {
    answered({ status, retry_after }: { status: number; retry_after: boolean }, taken_ms: number) {
      count(String(status));
      if (status === 201) accepted.push(taken_ms);
      if ((status === 503 || status === 429) && !retry_after) count('silent');
    },
    broken: () => count('broken'),
    read: (): Tally => ({ counts: { ...counts }, accepted_ms: percentiles(accepted) }),
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
