/** What became of the checkouts of a run, as the engine itself counted them. Offered = the sum, if none was lost. */
export type Counts = { accepted: number; replayed: number; refused: number; failed: number };

/** Outcomes of `stampede_checkout_total` that are neither a sale nor a business refusal. */
const FAILURES = ['unavailable', 'sale_recovering', 'overloaded', 'internal_error'];

export async function readCounts(engine_url: string): Promise<Counts> {
  const response = await fetch(`${engine_url}/metrics`, { signal: AbortSignal.timeout(15_000) });
  return countsOf(await response.text());
}

/** Pure. `metrics`: Prometheus text. */
export function countsOf(metrics: string): Counts {
  const counts: Counts = { accepted: 0, replayed: 0, refused: 0, failed: 0 };
  for (const [, outcome = '', value] of metrics.matchAll(
    /^stampede_checkout_total\{outcome="([^"]+)"\} (\d+)/gm,
  )) {
    if (outcome === 'accepted' || outcome === 'replayed') counts[outcome] += Number(value);
    else counts[FAILURES.includes(outcome) ? 'failed' : 'refused'] += Number(value);
  }
  return counts;
}

export function difference(after: Counts, before: Counts): Counts {
  return {
    accepted: after.accepted - before.accepted,
    replayed: after.replayed - before.replayed,
    refused: after.refused - before.refused,
    failed: after.failed - before.failed,
  };
}
