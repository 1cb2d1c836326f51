/** What became of the checkouts of a run, as the engine itself counted them. Offered = the sum, if none was lost. */
export type Counts = {
  accepted: number;
  replayed: number;
  refused: number;
  /** The key of another request. */
  altered: number;
  /** Not even looked at: the body or a header does not do. */
  invalid: number;
  failed: number;
};

export const NO_COUNTS: Counts = { accepted: 0, replayed: 0, refused: 0, altered: 0, invalid: 0, failed: 0 };

/** Outcomes of `stampede_checkout_total` that are neither a sale nor a business refusal: each is a 5xx. */
const FAILURES = ['unavailable', 'sale_recovering', 'overloaded', 'internal_error'];
const TOO_MANY_REQUESTS = 429;

export async function readCounts(engine_url: string): Promise<Counts> {
  const response = await fetch(`${engine_url}/metrics`, { signal: AbortSignal.timeout(15_000) });
  return countsOf(await response.text());
}

/** Pure. `metrics`: Prometheus text. */
export function countsOf(metrics: string): Counts {
  const counts = { ...NO_COUNTS };
  for (const [, outcome = '', value] of metrics.matchAll(
    /^stampede_checkout_total\{outcome="([^"]+)"\} (\d+)/gm,
  )) {
    counts[kindOf(outcome)] += Number(value);
  }
  let [client_errors, failures] = [0, 0];
  for (const [, status, value] of metrics.matchAll(
    /^stampede_http_requests_total\{route="checkout",status="(\d+)"\} (\d+)/gm,
  )) {
    if (Number(status) >= 500 || Number(status) === TOO_MANY_REQUESTS) failures += Number(value);
    else if (Number(status) >= 400) client_errors += Number(value);
  }
  counts.invalid = Math.max(0, client_errors - counts.refused - counts.altered);
  counts.failed = Math.max(counts.failed, failures);
  return counts;
}

function kindOf(outcome: string): keyof Counts {
  if (outcome === 'accepted' || outcome === 'replayed') return outcome;
  if (outcome === 'idempotency_key_reused') return 'altered';
  return FAILURES.includes(outcome) ? 'failed' : 'refused';
}

/** Value by value. */
export function combine(a: Counts, b: Counts, how: (a: number, b: number) => number): Counts {
  const kinds = Object.keys(NO_COUNTS) as (keyof Counts)[];
  return Object.fromEntries(kinds.map((kind) => [kind, how(a[kind], b[kind])])) as Counts;
}

export const difference = (after: Counts, before: Counts): Counts => combine(after, before, (a, b) => a - b);
