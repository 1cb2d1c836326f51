/** Pure: the report as Markdown, with its charts as pictures. */
import { figureText } from '../lab/result.ts';
import type { Spread } from '../lab/spread.ts';
import { type BarRow, barRows, barText, valueText } from './bars.ts';
import type { Chart } from './charts/chart.ts';
import type { Measured } from './results-file.ts';

type ScenarioMeasured = Measured & { kind: 'scenario' };

/** `pictures`: where the charts lie, from the report. */
export function markdownOf(
  all: readonly Measured[],
  charts: readonly { chart: Chart; picture: string }[],
  { quick }: { quick: boolean },
): string {
  const rows = barRows(all);
  const scenarios = all.filter((measured): measured is ScenarioMeasured => measured.kind === 'scenario');
  const sections = [
    '# Benchmark report',
    quick
      ? 'Of `--quick` runs: they show that the benchmark works, and say nothing about speed.'
      : 'Made by `npm run bench -- report` from the results of `npm run bench`; how each was measured stands in [bench/](../../bench/).',
    machines(all),
    rows.length > 0 ? `## Bars\n\n${barsTable(rows)}` : '',
    ...charts.map(({ chart, picture }) => `![${chart.alt}](${picture})`),
    scenarios.length > 0 ? `## Scenarios\n\n${scenariosTable(scenarios)}` : '',
    ...all.filter(({ result }) => result.figures.length > 0).map(figures),
    all.some(isWithout) ? `## Without a result\n\n${all.filter(isWithout).map(reason).join('\n')}` : '',
    `## When, of what, how\n\n${runsTable(all)}`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function machines(all: readonly Measured[]): string {
  const texts = all.map(
    ({ machine }) =>
      `${machine.cores} cores of ${machine.cpu}, ${machine.memory_gib} GiB, Linux ${machine.kernel}, Node ${machine.node}; clients, engine and stores all on it.`,
  );
  return [...new Set(texts)].join('\n');
}

function barsTable(rows: readonly BarRow[]): string {
  return table(
    ['scenario', 'what', 'measured', 'lowest to highest', 'bar', ''],
    rows.map((row) => [
      ...[row.name, row.what, valueText(row), spreadText(row.spread), barText(row.bar)],
      row.verdict === 'met' ? 'met' : `**${row.verdict}**`,
    ]),
  );
}

function scenariosTable(scenarios: readonly ScenarioMeasured[]): string {
  return table(
    [
      'scenario',
      'side',
      'answers/s',
      'p50 ms',
      'p99 ms',
      'CPU us an answer',
      'accepted / refused / replayed',
      'client',
    ],
    scenarios.flatMap(({ name, result }) =>
      result.wrong.length > 0
        ? []
        : [result.a, result.b].map((side, i) => [
            i === 0 ? name : '',
            side.what,
            Math.round(side.requests_per_s?.median ?? 0).toLocaleString('en'),
            ...[side.p50_ms, side.p99_ms].map((time) => (time ? figureText(time.median) : '')),
            Object.entries(side.cpu_us)
              .map(([process, us]) => `${process} ${us}`)
              .join(', '),
            side.counts
              ? [side.counts.accepted, side.counts.refused, side.counts.replayed]
                  .map((count) => count.toLocaleString('en'))
                  .join(' / ')
              : '',
            side.client_ceiling
              ? '**client ceiling**'
              : `${Math.round(100 * (side.client_idle?.median ?? 0))}% idle`,
          ]),
    ),
  );
}

function figures({ name, what, result }: Measured): string {
  const lines = result.figures.map(
    (figure) =>
      `- ${figure.what}: ${valueText(figure)}${figure.spread ? ` (${spreadText(figure.spread)})` : ''}`,
  );
  return `## ${name}\n\n${what}\n\n${result.wrong.length > 0 ? 'No result.' : lines.join('\n')}`;
}

const isWithout = ({ kind, result }: Measured) =>
  result.wrong.length > 0 || (kind === 'scenario' && !(result as ScenarioMeasured['result']).ratio);

function reason({ name, kind, result }: Measured): string {
  const discarded = kind === 'scenario' ? (result as ScenarioMeasured['result']).discarded : 0;
  return `- ${name}: ${result.wrong.length > 0 ? result.wrong.join('; ') : `the machine was too busy (${discarded} pairs discarded)`}`;
}

function runsTable(all: readonly Measured[]): string {
  return table(
    ['scenario', 'date', 'commit', 'command'],
    all.map(({ name, measured_at, machine, settings }) => [
      ...[name, measured_at.slice(0, 16).replace('T', ' ')],
      `${machine.commit}${machine.dirty ? ' with changes' : ''}`,
      `\`npm run bench -- ${name} ${optionsText(settings)}\``,
    ]),
  );
}

function optionsText(settings: Measured['settings']): string {
  return Object.entries(settings)
    .flatMap(([name, value]) => {
      if (typeof value === 'boolean') return value ? [`--${name}`] : [];
      return [`--${name} ${value}`];
    })
    .join(' ');
}

const spreadText = (spread: Spread | undefined) =>
  spread ? `${figureText(spread.min)} to ${figureText(spread.max)}` : '';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
