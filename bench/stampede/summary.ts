/** The outcome of a run, in figures, in words and as a verdict. */

export type Summary = {
  target: string;
  sale_id: string;
  buyers: number;
  units: number;
  skus: number;
  connections: number;
  /** Orders promised with a 201. */
  accepted: number;
  /** Refused because nothing was left (sold out, or all held by others). */
  sold_out: number;
  /** Refused for another reason, by code. None is expected. */
  other: Record<string, number>;
  /** Without a final answer after all tries. */
  unanswered: number;
  /** Requests sent again because their answer was lost or said to come back. */
  resent: number;
  /** Winners whose repeated request gave the same order again, marked as a replay. */
  replayed: number;
  confirmed: number;
  /** Winners in any other state, by state. */
  not_confirmed: Record<string, number>;
  /** Orders accepted beyond the stock. */
  oversold: number;
  balanced: boolean;
  latency_ms_p50: number;
  latency_ms_p99: number;
  answers_per_second: number;
  /** Every invariant that broke, in words. Empty: all held. */
  broken: string[];
};

/** `latencies_ms` in any order; 0 if there are none. */
export function percentile(latencies_ms: readonly number[], share: number): number {
  const sorted = Float64Array.from(latencies_ms).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function brokenInvariants(s: Omit<Summary, 'broken'>): string[] {
  const expected = Math.min(s.units, s.buyers);
  const rules: [boolean, string][] = [
    [s.oversold === 0, `oversold: ${s.oversold} orders more than units`],
    [s.accepted === expected, `${s.accepted} accepted, ${expected} expected`],
    [s.unanswered === 0, `${s.unanswered} buyers without a final answer`],
    [s.accepted + s.sold_out === s.buyers - s.unanswered, `unexpected refusals: ${tally(s.other)}`],
    [s.replayed === s.accepted, `${s.replayed} of ${s.accepted} winners got the same order again`],
    [s.confirmed === s.accepted, `${s.confirmed} of ${s.accepted} confirmed (${tally(s.not_confirmed)})`],
    [s.balanced, 'the books are not balanced'],
  ];
  return rules.filter(([holds]) => !holds).map(([, text]) => text);
}

export function summaryText(s: Summary, color: boolean): string {
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const n = (value: number) => value.toLocaleString('en').padStart(9);
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const units = s.skus === 1 ? `${s.units} units` : `${s.units} units of each of ${s.skus} SKUs`;
  const lines = [
    '',
    `${s.buyers.toLocaleString('en')} buyers on ${s.connections} connections for ${units}`,
    `sale ${s.sale_id} at ${s.target}`,
    '',
    `  accepted  ${n(s.accepted)}`,
    `  sold out  ${n(s.sold_out)}`,
    `  replayed  ${n(s.replayed)}   winners asked again: same order, nothing taken twice`,
    `  confirmed ${n(s.confirmed)}   paid`,
    `  oversold  ${n(s.oversold)}`,
    `  books     ${(s.balanced ? 'balanced' : 'NOT BALANCED').padStart(9)}`,
    '',
    `  latency   p50 ${ms(s.latency_ms_p50)}, p99 ${ms(s.latency_ms_p99)}; ${Math.round(s.answers_per_second).toLocaleString('en')} answers/s`,
    ...(s.resent > 0 ? [`  resent    ${n(s.resent)}   under their keys, for want of a final answer`] : []),
    '',
    s.broken.length === 0
      ? paint(32, '  Every invariant held.')
      : paint(31, s.broken.map((text) => `  BROKEN: ${text}`).join('\n')),
    '',
  ];
  return lines.join('\n');
}

function tally(counts: Record<string, number>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return parts.length > 0 ? parts.join(', ') : 'none';
}
