/** Chance, from a seed: the same seed draws the same. */
import { seeded } from '../../../payments/sandbox/seeded.ts';

export type Draw = {
  /** In [0, 1). */
  (): number;
  /** From 0 to `below` - 1. */
  below(below: number): number;
  chance(probability: number): boolean;
  of<T>(choices: readonly T[]): T;
  /** By weight. */
  weighted<T>(choices: readonly (readonly [number, T])[]): T;
  text(length: number, letters?: string): string;
};

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export function createDraw(seed: number): Draw {
  const next = seeded(seed);
  const below = (bound: number) => Math.floor(next() * bound);
  return Object.assign(() => next(), {
    below,
    chance: (probability: number) => next() < probability,
    of: <T>(choices: readonly T[]) => choices[below(choices.length)],
    weighted<T>(choices: readonly (readonly [number, T])[]): T {
      let at = next() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        at -= weight;
        if (at < 0) return choice;
      }
      return choices[choices.length - 1][1];
    },
    text: (length: number, letters = LETTERS) =>
      Array.from({ length }, () => letters[below(letters.length)]).join(''),
  });
}

/** Of the request with this number in the run of this seed: each can be made again alone. */
export const drawOf = (seed: number, number: number): Draw =>
  createDraw(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
