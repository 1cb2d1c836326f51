/** A result as Markdown, as it stands in docs/chaos.md. */
import type { ChaosResult } from './chaos.ts';
import { FAULT_CLASSES } from './faults/fault.ts';

export function resultTable(result: ChaosResult): string {
  const rows = FAULT_CLASSES.map((name) => {
    const { alone, paired } = result.faults[name] ?? { alone: 0, paired: 0 };
    return { name, alone, paired };
  });
  const total = rows.reduce((all, { alone, paired }) => all + alone + paired, 0);
  const { judgment, load, recovery_ms } = result;
  const requests = ['fresh', 'retry', 'altered', 'abort', 'invalid']
    .map((name) => `${load[name] ?? 0} ${name}`)
    .join(', ');
  const lines = [
    `Seed ${result.seed}, ${result.minutes} minutes in all; ${result.rate} requests/s${result.capacity ? ` (70% of ${Math.round(result.capacity.rate)})` : ''}: ${requests}.`,
    `${result.sales} sales, ${result.orders} orders, ${result.payments} payments. Nothing left to do ${result.drain_seconds} s after the last fault.`,
    `Selling again after a fault: half within ${recovery_ms.p50} ms, 95% within ${recovery_ms.p95} ms, the longest ${recovery_ms.max} ms (${recovery_ms.not_in_time} not within 20 s).`,
    '',
    '| class | alone | in pairs | together |',
    '|---|---:|---:|---:|',
    ...rows.map(({ name, alone, paired }) => `| ${name} | ${alone} | ${paired} | ${alone + paired} |`),
    `| all | ${sum(rows, 'alone')} | ${sum(rows, 'paired')} | ${total} |`,
    '',
    '| what was checked | how many | violations |',
    '|---|---:|---:|',
    ...Object.entries(judgment.checked).map(
      ([rule, checked]) =>
        `| ${rule} | ${checked} | ${judgment.violations.filter((violation) => violation.rule === rule).length} |`,
    ),
    '',
    `Acknowledged orders lost within what a fault may cost: ${judgment.lost_within_promise}.`,
    ...Object.entries(result.left_out).map(([name, why]) => `LEFT OUT: ${name} (${why}).`),
  ];
  return lines.join('\n');
}

function sum<K extends string>(rows: readonly Record<K, number>[], name: K): number {
  return rows.reduce((all, row) => all + row[name], 0);
}
