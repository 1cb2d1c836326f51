/** Every statement that the simulated ledger knows. */
import { jobStatements } from './jobs.ts';
import { orderStatements } from './orders.ts';
import { paymentStatements } from './payments.ts';
import { rebuildStatements, unnamedRebuildStatements } from './rebuild.ts';
import { streamStatements } from './stream.ts';

export const STATEMENTS = {
  ...streamStatements,
  ...orderStatements,
  ...paymentStatements,
  ...jobStatements,
  ...rebuildStatements,
};

export const UNNAMED = unnamedRebuildStatements;
