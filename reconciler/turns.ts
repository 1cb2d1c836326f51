/**
 * Work of which only so much goes on at once: the others wait, urgent work first, otherwise in the order in which it came.
 * For what holds connections to the ledger for long: if everybody took one and then asked for a second, nobody got it.
 */
export type Turns = <T>(work: () => Promise<T>, options?: { urgent?: boolean }) => Promise<T>;

export function createTurns(at_once_max: number): Turns {
  const urgent: (() => void)[] = [];
  const others: (() => void)[] = [];
  let free = at_once_max;

  const next = () => {
    const waiting = urgent.shift() ?? others.shift();
    if (waiting) waiting();
    else free += 1;
  };

  return async (work, options = {}) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => (options.urgent ? urgent : others).push(resolve));
    try {
      return await work();
    } finally {
      next();
    }
  };
}
