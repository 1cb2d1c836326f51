/**
 * A map that forgets in two generations: when the young one is full or its time is over, it becomes the old
 * one, and what was old is gone. Bounded, with no bookkeeping per entry.
 */
export type TurningMap<V> = {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  /** Starts a new generation. */
  turn(): void;
  readonly size: number;
};

/** Holds at most `entries_max`, and at least the last half of that. A read keeps an entry young. */
export function createTurningMap<V>(entries_max: number): TurningMap<V> {
  const half = Math.max(1, Math.floor(entries_max / 2));
  let young = new Map<string, V>();
  let old = new Map<string, V>();

  function turn(): void {
    old = young;
    young = new Map();
  }

  function set(key: string, value: V): void {
    if (young.size >= half && !young.has(key)) turn();
    young.set(key, value);
  }

  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const aged = old.get(key);
      if (aged !== undefined) set(key, aged);
      return aged;
    },
    set,
    turn,
    get size() {
      return young.size + old.size;
    },
  };
}
