/**
 * The life of an attempt, one try to pay an order at a PSP: ONE table, the same edges in the ledger's
 * `attempt_transitions`. Money that must not stay is no state but `reversal_wanted` on the attempt,
 * because it may be wanted before anyone knows what the PSP did.
 */

export const ATTEMPT_STATES = [
  'pending',
  'unknown',
  'authorized',
  'captured',
  'refunded',
  'voided',
  'declined',
] as const;

export type AttemptState = (typeof ATTEMPT_STATES)[number];

/** state -> states it may go to. `unknown` means: ask the PSP before doing anything else. */
export const ATTEMPT_EDGES = {
  pending: ['authorized', 'captured', 'declined', 'unknown', 'voided'],
  unknown: ['pending', 'authorized', 'captured', 'declined', 'voided', 'refunded'],
  authorized: ['captured', 'voided', 'unknown'],
  captured: ['refunded'],
  refunded: [],
  voided: [],
  declined: [],
} as const satisfies Record<AttemptState, readonly AttemptState[]>;

export function canAttemptTransition(from: AttemptState, to: AttemptState): boolean {
  return (ATTEMPT_EDGES[from] as readonly AttemptState[]).includes(to);
}

/** An attempt that may still take money or already holds it: an order has at most one of these. */
export const LIVE_ATTEMPT_STATES = [
  'pending',
  'unknown',
  'authorized',
  'captured',
] as const satisfies readonly AttemptState[];
