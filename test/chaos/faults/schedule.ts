/** Which faults come when: drawn from the seed, each as often as every other, alone and in pairs. */
import type { Fault } from './fault.ts';

/** One in three rounds is a pair. */
const PAIRS = 1 / 3;

/** Endless. The same seed and faults: the same order. */
export function* schedule<F extends Pick<Fault, 'name' | 'target'>>(
  faults: readonly F[],
  random: () => number,
): Generator<F[], never> {
  const alone = bag(faults, random);
  const paired = bag(faults, random);
  for (;;) {
    if (random() >= PAIRS) {
      yield [alone()];
      continue;
    }
    const first = paired();
    let second = paired();
    for (let no = 0; no < 10 && clash(first, second); no++) second = paired();
    yield clash(first, second) ? [first] : [first, second];
  }
}

function clash(one: Pick<Fault, 'name' | 'target'>, other: Pick<Fault, 'name' | 'target'>): boolean {
  return one.target === other.target || one.name === other.name;
}

/** Everything once in a drawn order, then everything again in another. */
function bag<T>(items: readonly T[], random: () => number): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = shuffled(items, random);
    return left.pop() as T;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const list = [...items];
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [list[at], list[other]] = [list[other] as T, list[at] as T];
  }
  return list;
}
