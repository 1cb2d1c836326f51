/** What a row of a chart is called: the scenario and which of its sides. */
import type { Side } from '../../lab/result.ts';

export const isEcho = ({ cpu_us }: Pick<Side, 'cpu_us'>): boolean => Object.keys(cpu_us).join() === 'echo';

export function sideLabel(scenario: string, side: Pick<Side, 'what' | 'cpu_us'>): string {
  return `${scenario}: ${isEcho(side) ? 'raw echo' : side.what}`;
}
