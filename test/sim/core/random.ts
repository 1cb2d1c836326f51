/** What the seed draws. */
import { seeded } from '../../../payments/sandbox/seeded.ts';

export type Random = {
  /** In [0, 1). */
  next(): number;
  /** An integer in [from, to]. */
  int(from: number, to: number): number;
  /** True in so many of 1 cases. */
  chance(share: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** A time between the two, most often a short one. */
  delay_ms(from: number, to: number): number;
  bytes(count: number): Buffer;
  uuid(): string;
};

export function createRandom(seed: number): Random {
  const next = seeded(Math.imul(seed, 0x9e3779b1) ^ (seed >>> 3));
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  const bytes = (count: number) => {
    const made = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) made[i] = Math.floor(next() * 256);
    return made;
  };
  return {
    next,
    int,
    chance: (share) => next() < share,
    pick: (list) => list[int(0, list.length - 1)],
    delay_ms: (from, to) => from + (to - from) * next() ** 3,
    bytes,
    uuid() {
      const hex = bytes(16).toString('hex');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}
