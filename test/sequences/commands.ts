/**
 * What can happen in a sequence: buyers, operators, the bank, workers that die in mid-work, and Redis that restarts or
 * wakes up with an older memory. Plain data, so that a failure can be read, shrunk and run again. Ranges are small:
 * buyers, keys and units meet often.
 */
import fc from 'fast-check';
import type { GATE_ACTIONS } from '../../ledger/sales/set-gate.ts';
import type { Interruption } from './interrupt.ts';

export const SKUS = ['a', 'b', 'c'] as const;
export const BUYERS = ['x', 'y', 'z'] as const;

export type Line = { sku: string; qty: number };
export type Wish = { buyer: string; key: number; road: 'checkout' | 'lock'; lines: Line[] };

export type Role = 'ingest' | 'release' | 'seal' | 'trim' | 'expire' | 'discover';
export type Memory = 'kill' | 'promote' | 'copy' | 'restore' | 'lose';
export type BankSays = 'authorized' | 'captured' | 'declined' | 'unknown';
export type SoldAsFarAs = 'authorized' | 'confirmed' | 'captured' | 'shipped';
export type OrderDeed =
  | ('confirm' | 'cancel' | 'expire' | 'ship' | 'deliver')
  | ('refund' | 'refund restocking' | 'return' | 'return restocking');

export type Command =
  /** One batch. `lost`: its first answer never arrives. */
  | { do: 'reserve'; engine: 0 | 1; wishes: Wish[]; lost: boolean }
  /** Two engines at the same time. */
  | { do: 'race'; one: Wish[]; other: Wish[] }
  /** A wish of before, again as it was or with other lines. */
  | { do: 'retry'; engine: 0 | 1; pick: number; altered: boolean; lost: boolean }
  | { do: 'order'; deed: OrderDeed; pick: number }
  | { do: 'pay'; pick: number }
  /** Paid, and so on, without anything in between. */
  | { do: 'sell'; pick: number; as_far_as: SoldAsFarAs }
  /** `told`: the ledger hears of it now; else when somebody looks. */
  | { do: 'bank'; says: BankSays; pick: number; told: boolean }
  | { do: 'reverse'; pick: number }
  | { do: 'topup' | 'reduce'; key: number; lines: Line[] }
  | { do: 'gate'; action: (typeof GATE_ACTIONS)[number]; taken: boolean }
  | { do: 'work'; worker: 0 | 1; role: Role; interruption: Interruption | null }
  | { do: 'wake'; worker: 0 | 1 }
  | { do: 'forget scripts' }
  /** An operator wants the sale rebuilt. */
  | { do: 'rebuild' }
  /** `process`: a real restart of the process with its files; else the same by other means, quicker. */
  | { do: 'memory'; what: Memory; process: boolean };

/** Objects as a file would give them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

const line = record({ sku: fc.constantFrom(...SKUS), qty: fc.integer({ min: 1, max: 3 }) });
const lines = fc.uniqueArray(line, { minLength: 1, maxLength: 2, selector: (l) => l.sku });
const wish: fc.Arbitrary<Wish> = record({
  buyer: fc.constantFrom(...BUYERS),
  key: fc.integer({ min: 1, max: 12 }),
  road: fc.constantFrom('checkout', 'lock'),
  lines,
});
export const wishes = fc.array(wish, { minLength: 1, maxLength: 5 });
const engine = fc.constantFrom(0 as const, 1 as const);
const worker = engine;
const pick = fc.nat({ max: 999 });
const rarely = fc.integer({ min: 0, max: 9 }).map((i) => i === 9);

const interruption: fc.Arbitrary<Interruption | null> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  {
    weight: 2,
    arbitrary: record({
      kind: fc.constantFrom('crash' as const, 'crash' as const, 'pause' as const),
      // Most steps are short; a rebuild is not.
      after_calls: fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 70 })),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
);

/** Deeds in the frequency with which they lead anywhere. */
const DEEDS: OrderDeed[] = [
  ...(['confirm', 'confirm', 'cancel', 'cancel', 'expire', 'expire', 'ship', 'ship', 'deliver'] as const),
  ...(['refund', 'refund restocking', 'return', 'return restocking'] as const),
];

/** One batch by one engine. */
export const reservation: fc.Arbitrary<Command> = record({
  ...{ do: fc.constant('reserve' as const), engine, wishes, lost: fc.constant(false) },
});

export function command(): fc.Arbitrary<Command> {
  const memory: Memory[] = ['kill', 'kill', 'promote', 'copy', 'copy', 'restore', 'restore', 'lose'];
  const roles: Role[] = [
    'ingest',
    'ingest',
    'ingest',
    'ingest',
    'release',
    'release',
    'seal',
    'trim',
    'discover',
    'expire',
  ];
  const of = <C extends Command>(weight: number, arbitrary: fc.Arbitrary<C>) => ({ weight, arbitrary });
  const did = <D extends Command['do']>(name: D) => fc.constant(name);
  return fc.oneof(
    of(10, record({ do: did('reserve'), engine, wishes, lost: rarely })),
    of(2, record({ do: did('race'), one: wishes, other: wishes })),
    of(5, record({ do: did('retry'), engine, pick, altered: rarely, lost: rarely })),
    of(6, record({ do: did('order'), deed: fc.constantFrom(...DEEDS), pick })),
    of(3, record({ do: did('pay'), pick })),
    of(
      7,
      record({
        do: did('sell'),
        pick,
        as_far_as: fc.constantFrom('authorized', 'confirmed', 'captured', 'captured', 'shipped', 'shipped'),
      }),
    ),
    of(
      6,
      record({
        do: did('bank'),
        says: fc.constantFrom('authorized', 'authorized', 'captured', 'captured', 'declined', 'unknown'),
        pick,
        told: fc.boolean(),
      }),
    ),
    of(1, record({ do: did('reverse'), pick })),
    of(2, record({ do: did('topup'), key: fc.nat({ max: 3 }), lines })),
    of(2, record({ do: did('reduce'), key: fc.nat({ max: 3 }), lines })),
    of(
      3,
      record({
        do: did('gate'),
        // Closing is for good, so it comes seldom.
        action: fc.constantFrom(
          'pause',
          'pause',
          'resume',
          'resume',
          'resume',
          'resume',
          'open',
          'open',
          'close',
        ),
        taken: fc.boolean(),
      }),
    ),
    of(14, record({ do: did('work'), worker, role: fc.constantFrom(...roles), interruption })),
    of(2, record({ do: did('wake'), worker })),
    of(1, record({ do: did('forget scripts') })),
    of(1, record({ do: did('rebuild') })),
    of(4, record({ do: did('memory'), what: fc.constantFrom(...memory), process: rarely })),
  ) as fc.Arbitrary<Command>;
}
