/** All faults of a world with so many engines and reconcilers. */
import type { Fault, FaultClass } from './fault.ts';
import { machineFaults } from './machine.ts';
import { memoryFaults } from './memory.ts';
import { networkFaults } from './network.ts';
import { processFaults } from './processes.ts';

export function faultsOf(options: {
  engines: number;
  reconcilers: number;
  classes: readonly FaultClass[];
  /** Is there a library for disks and clocks? */
  troubles: boolean;
}): Fault[] {
  const { engines, reconcilers, classes, troubles } = options;
  return [
    ...processFaults(engines, reconcilers),
    ...networkFaults(),
    ...machineFaults(engines, reconcilers),
    ...memoryFaults(),
  ].filter((fault) => classes.includes(fault.class) && (troubles || !fault.troubles));
}
