import { expect, test } from 'vitest';
import { seeded } from '../../../payments/sandbox/seeded.ts';
import { faultsOf } from './catalog.ts';
import { FAULT_CLASSES } from './fault.ts';
import { schedule } from './schedule.ts';

const faults = faultsOf({ engines: 2, reconcilers: 2, classes: FAULT_CLASSES, troubles: true });

function rounds(seed: number, count: number): string[][] {
  const drawn = schedule(faults, seeded(seed));
  return Array.from({ length: count }, () => drawn.next().value.map(({ name }) => name));
}

test('the same seed draws the same faults in the same order, another seed others', () => {
  expect(rounds(1, 300)).toEqual(rounds(1, 300));
  expect(rounds(1, 300)).not.toEqual(rounds(2, 300));
});

test('every class has its faults, each with a name of its own, and comes alone and in pairs in a long run', () => {
  expect(new Set(faults.map(({ name }) => name)).size).toBe(faults.length);
  const classOf = new Map(faults.map((fault) => [fault.name, fault.class]));
  const drawn = rounds(3, 230);
  for (const name of FAULT_CLASSES) {
    const alone = drawn.filter(([first, ...more]) => more.length === 0 && classOf.get(first ?? '') === name);
    const paired = drawn.filter((pair) => pair.length === 2 && pair.some((one) => classOf.get(one) === name));
    expect([name, alone.length >= 5, paired.length >= 2]).toEqual([name, true, true]);
  }
});

test('two at once never have the same target', () => {
  const targetOf = new Map(faults.map((fault) => [fault.name, fault.target]));
  for (const [first, second] of rounds(4, 500)) {
    if (second) expect(targetOf.get(second)).not.toBe(targetOf.get(first ?? ''));
  }
});

test('without the library for disks and clocks those classes have no fault', () => {
  const left = faultsOf({ engines: 2, reconcilers: 2, classes: FAULT_CLASSES, troubles: false });
  const classes = new Set<string>(left.map((fault) => fault.class));
  expect(FAULT_CLASSES.filter((name) => !classes.has(name))).toEqual(['full_disk', 'slow_disk', 'clock']);
});
