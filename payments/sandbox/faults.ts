/**
 * Faults on demand, set by an admin call. Whether one strikes is drawn from a seeded sequence, so a run can be
 * repeated.
 */
import { seeded } from './seeded.ts';

export const FAULT_KINDS = [
  /** 500, nothing done. */
  'error_before',
  /** 500, done all the same. */
  'error_after',
  /** The same, and the key's stored answer is this 500 for ever. */
  'sticky_before',
  'sticky_after',
  /** Done, and the answer never comes. */
  'no_answer',
  /** 503, nothing done: the provider is down. */
  'unavailable',
  'delay',
  'decline',
  /** Webhooks: never sent, sent twice, sent after the next one, sent `delay_ms` later (3 minutes if absent). */
  'lose',
  'double',
  'reorder',
  'late',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export const FAULT_TARGETS = [
  'create',
  'authorize',
  'capture',
  'void',
  'refund',
  'look_up',
  'webhook',
  /** All of them but webhooks. */
  '*',
] as const;
export type FaultTarget = (typeof FAULT_TARGETS)[number];

export type Fault = {
  on: FaultTarget;
  kind: FaultKind;
  /** The wire that it strikes; all if absent. The sandbox's own is `sandbox`. */
  provider?: string;
  /** Chance that it strikes, 0 to 1; 1 if absent. */
  rate?: number;
  /** How often it may strike; without end if absent. */
  times?: number;
  /** For `delay` and `late`. */
  delay_ms?: number;
};

export type Faults = {
  set(faults: readonly Fault[], seed: number): void;
  list(): Fault[];
  /** The faults that strike this call. */
  strike(on: Exclude<FaultTarget, '*'>, provider: string): readonly Fault[];
};

const NONE: readonly Fault[] = [];

export function createFaults(): Faults {
  let faults: { fault: Fault; left: number }[] = [];
  let random = seeded(1);
  return {
    set(wanted, seed) {
      faults = wanted.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
      random = seeded(seed);
    },
    list: () => faults.map(({ fault }) => fault),
    strike(on, provider) {
      if (faults.length === 0) return NONE;
      const struck: Fault[] = [];
      for (const entry of faults) {
        const { fault } = entry;
        if (entry.left <= 0 || (fault.on !== on && (fault.on !== '*' || on === 'webhook'))) continue;
        if (fault.provider !== undefined && fault.provider !== provider) continue;
        if (random() >= (fault.rate ?? 1)) continue;
        entry.left -= 1;
        struck.push(fault);
      }
      return struck;
    },
  };
}
