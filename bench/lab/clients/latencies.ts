/** Latencies, every one kept: percentiles are exact. */
export type Latencies = { add(ms: number): void; count(): number; at(share: number): number };

/** `expected`: about how many will come. */
export function createLatencies(expected: number): Latencies {
  let values = new Float64Array(Math.max(1_024, expected));
  let count = 0;
  let sorted: Float64Array | undefined;
  return {
    add(ms) {
      if (count === values.length) {
        const longer = new Float64Array(2 * count);
        longer.set(values);
        values = longer;
      }
      values[count++] = ms;
      sorted = undefined;
    },
    count: () => count,
    /** The least that so much of all took at most; NaN of nothing. */
    at(share) {
      sorted ??= values.slice(0, count).sort();
      return sorted[Math.max(0, Math.ceil(share * count) - 1)] ?? Number.NaN;
    },
  };
}

export const percentiles = (of: Latencies) => ({
  ...{ p50_ms: of.at(0.5), p90_ms: of.at(0.9), p99_ms: of.at(0.99), p999_ms: of.at(0.999), max_ms: of.at(1) },
});
