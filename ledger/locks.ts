/**
 * Advisory locks of the ledger: who does what for a sale. A lock belongs to a connection and goes with it.
 * They keep two processes from doing the same work; that neither can do harm is the business of the
 * compare-and-sets in the verbs.
 */

const NAMESPACE = 0x5354n;

/**
 * `ingest`, `release`: the active worker of a sale. `seal`: whoever numbers movements, now. `outbox`: the active worker
 * of a sink, whose number is a hash of its name.
 */
export const LOCKS = { ingest: 1n, release: 2n, seal: 3n, outbox: 4n } as const;
export type LockName = keyof typeof LOCKS;

/** The key for pg_advisory_lock(bigint): 16 bits namespace, 8 bits name, 40 bits sale. */
export function lockKey(name: LockName, saleNo: number): string {
  return ((NAMESPACE << 48n) | (LOCKS[name] << 40n) | BigInt(saleNo)).toString();
}
