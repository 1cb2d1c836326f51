/** Pure: everything in the results that has a bar, scenario or figure, in one form. */
import { figureText } from '../lab/result.ts';
import type { Spread } from '../lab/spread.ts';
import { type Bar, type Figure, isMet } from '../scenarios/stand.ts';
import type { Measured } from './results-file.ts';

export type Verdict = 'met' | 'not met' | 'not shown' | 'no result';

export type BarRow = {
  /** Of the scenario or stand. */
  name: string;
  what: string;
  value: number | undefined;
  unit: string;
  spread: Spread | undefined;
  bar: Bar;
  verdict: Verdict;
};

export function barRows(all: readonly Measured[]): BarRow[] {
  return all.flatMap((measured) => [...ownBar(measured), ...figureBars(measured)]);
}

function ownBar(measured: Measured): BarRow[] {
  if (measured.kind === 'stand' || !measured.result.bar) return [];
  const { name, result } = measured;
  const { bar, metric, ratio, verdict, wrong } = result as typeof result & { bar: Bar };
  const of = metric === 'p99_ms' ? 'p99 of' : 'rate of';
  const what = `${of} ${result.a.what} against ${result.b.what}`;
  if (wrong.length > 0 || !ratio || !verdict)
    return [
      { ...{ name, what, value: undefined, unit: 'times', spread: undefined }, bar, verdict: 'no result' },
    ];
  return [{ ...{ name, what, value: ratio.median, unit: 'times', spread: ratio }, bar, verdict }];
}

function figureBars({ name, result }: Measured): BarRow[] {
  return result.figures.flatMap((figure) => {
    const { bar, what, unit, value, spread } = figure;
    if (!bar) return [];
    const row: BarRow = {
      name,
      what,
      unit,
      bar,
      value,
      spread,
      verdict: isMet(value, bar) ? 'met' : 'not met',
    };
    return [result.wrong.length === 0 ? row : { ...row, value: undefined, verdict: 'no result' }];
  });
}

/** 1 at the bar, more where it is better: what needs to be more over the bar, what needs to be less under it. */
export function shareOfBar(value: number, bar: Bar): number {
  return 'at_least' in bar ? value / bar.at_least : bar.at_most / value;
}

export const barText = (bar: Bar): string =>
  'at_least' in bar ? `≥ ${figureText(bar.at_least)}` : `≤ ${figureText(bar.at_most)}`;

export function valueText({ value, unit }: Pick<Figure, 'unit'> & { value: number | undefined }): string {
  if (value === undefined) return 'none';
  return `${figureText(value)} ${unit === 'times' ? '×' : unit.replace(/^us\b/, 'µs')}`;
}
