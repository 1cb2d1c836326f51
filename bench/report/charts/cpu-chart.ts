/** Where the CPU of an answer goes: each process's share, stacked. Baselines apart: they would dwarf the rest. */
import { figureText, type Side } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { isEcho, sideLabel } from './side-label.ts';
import { FAINT_INK, SERIES } from './theme.ts';

const ROW_PX = 28;
const PROCESSES = ['engine', 'redis', 'reconciler', 'postgres', 'sandbox', 'echo'];

type Row = { row: string; cpu_us: Side['cpu_us'] };

export function cpuCharts(all: readonly Measured[]): Chart[] {
  const ours: Row[] = [];
  const against: Row[] = [];
  for (const { name, kind, result } of all) {
    if (kind === 'stand' || result.wrong.length > 0) continue;
    const rows = [result.a, result.b].map((side) => ({
      ...{ row: sideLabel(name, side), cpu_us: side.cpu_us },
    }));
    (name.startsWith('vs-') ? against : ours).push(...rows);
  }
  return [
    chartOf('cpu', 'CPU of one answer, by process', echoOnce(ours)),
    chartOf('cpu-baselines', 'CPU of one checkout, by process, against baselines', against),
  ].filter((chart) => chart !== undefined);
}

/** The echo is beside nearly every scenario. */
function echoOnce(rows: readonly Row[]): Row[] {
  const echo = rows.find(isEcho);
  const others = rows.filter((row) => !isEcho(row));
  return echo ? [...others, { ...echo, row: 'raw echo' }] : others;
}

function chartOf(name: string, title: string, rows: readonly Row[]): Chart | undefined {
  const values = rows.flatMap(({ row, cpu_us }) =>
    PROCESSES.flatMap((process, order) => {
      const us = cpu_us[process];
      return us === undefined ? [] : [{ row, process, order, us }];
    }),
  );
  if (values.length === 0) return undefined;
  const totals = rows.map(({ row, cpu_us }) => {
    const us = PROCESSES.reduce((sum, process) => sum + (cpu_us[process] ?? 0), 0);
    return { row, us, text: `${figureText(us)} µs` };
  });
  const processes = PROCESSES.filter((process) => values.some((value) => value.process === process));
  const y = { field: 'row', type: 'nominal', sort: null, title: null } as const;
  return {
    name,
    alt: `${title}: ${totals.map(({ row, text }) => `${row} ${text}`).join('; ')}`,
    spec: {
      title: {
        text: title,
        subtitle: 'Medians; until the ledger has every order, with the payments that were made meanwhile',
      },
      width: 460,
      height: { step: ROW_PX },
      data: { values },
      layer: [
        {
          mark: { type: 'bar', height: { band: 0.7 } },
          encoding: {
            y,
            x: { field: 'us', type: 'quantitative', stack: 'zero', title: 'CPU, µs an answer' },
            order: { field: 'order' },
            color: {
              field: 'process',
              type: 'nominal',
              title: null,
              scale: {
                domain: processes,
                range: processes.map((process) => SERIES[PROCESSES.indexOf(process)] ?? SERIES[5]),
              },
            },
          },
        },
        {
          data: { values: totals },
          mark: { type: 'text', align: 'left', dx: 6, color: FAINT_INK },
          encoding: { y, x: { field: 'us', type: 'quantitative' }, text: { field: 'text' } },
        },
      ],
    },
  };
}
