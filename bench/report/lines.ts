/** A result in a few lines of text, and whether it is one. */
import { lineOf } from '../lab/result.ts';
import { type Figure, isMet } from '../scenarios/stand.ts';
import type { Measured } from './results-file.ts';

/** The books were in order, and the machine was quiet enough to say something. */
export function isSound(measured: Measured): boolean {
  if (measured.result.wrong.length > 0) return false;
  return measured.kind === 'stand' || measured.result.ratio !== undefined;
}

export function linesOf(measured: Measured): string {
  if (measured.kind === 'scenario') return lineOf(measured.result);
  const { name, result } = measured;
  if (result.wrong.length > 0) return `${name.padEnd(14)} NO RESULT: ${result.wrong.join('; ')}`;
  return [name, ...result.figures.map((figure) => `  ${lineOfFigure(figure)}`)].join('\n');
}

function lineOfFigure({ what, value, unit, bar }: Figure): string {
  const verdict = bar
    ? `  bar ${'at_least' in bar ? bar.at_least : `at most ${bar.at_most}`}: ${isMet(value, bar) ? 'met' : 'NOT met'}`
    : '';
  return `${what}: ${figureText(value)} ${unit}${verdict}`;
}

/** Four digits are enough of anything measured. */
export function figureText(value: number): string {
  const digits = Math.max(0, Math.min(3, 3 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
