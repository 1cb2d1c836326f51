/** A result in a few lines of text, and whether it is one. */
import { lineOf, lineOfFigure } from '../lab/result.ts';
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
