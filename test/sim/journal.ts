/**
 * The judge's own book: what really happened in a world, written down by the simulated stores themselves at the moment
 * it took effect, whoever may have forgotten it since.
 */
import type { Line } from '../../domain/types.ts';

export type EventOfRedis =
  /** Ids as latin1 text of their 16 bytes. */
  | { kind: 'taken'; id: string; lines: readonly Line[]; early: boolean }
  | { kind: 'reduced'; id: string; lines: readonly Line[] }
  | { kind: 'applied'; n: number }
  | { kind: 'gate'; gate: string };
