/**
 * Counts the moves that the ledger refused because no machine has them. Whatever statement it was and whoever catches
 * the error: it is heard on the connection itself. Must be 0.
 */
import { Counter } from 'prom-client';
import type { Metrics } from './metrics.ts';
import type { Pool } from './postgres.ts';

/** Constraint that a refusal names -> machine. */
const MACHINES = {
  order_transitions: 'order',
  attempt_transitions: 'attempt',
  refund_transitions: 'refund',
} as const;

type Connection = { on(event: 'errorMessage', listener: (message: { constraint?: string }) => void): void };

/** For every pool that writes to the ledger, before its first use. */
export function countMachineErrors(pools: readonly Pool[], registry: Metrics): void {
  const errors = new Counter({
    name: 'stampede_machine_errors_total',
    help: 'Moves of orders, attempts and refunds that the ledger refused because its tables have no such edge. Must be 0.',
    labelNames: ['machine'] as const,
    registers: [registry],
  });
  for (const machine of Object.values(MACHINES)) errors.inc({ machine }, 0);
  for (const pool of pools) {
    pool.on('connect', (client) => {
      const { connection } = client as unknown as { connection: Connection };
      connection.on('errorMessage', ({ constraint }) => {
        const machine = MACHINES[constraint as keyof typeof MACHINES];
        if (machine) errors.inc({ machine });
      });
    });
  }
}
