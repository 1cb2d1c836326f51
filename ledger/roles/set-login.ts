/**
 * Lets a role log in with a password. What is sent, and what Postgres keeps and may log, is no password but what one is
 * compared with (SCRAM-SHA-256, RFC 5802 and 7677).
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Queryable } from '../../platform/postgres.ts';

export const LEDGER_ROLES = ['engine', 'reconciler', 'auditor'] as const;
export type LedgerRole = (typeof LEDGER_ROLES)[number];

/** As it is called in the cluster. */
export const roleName = (role: LedgerRole): string => `stampede_${role}`;

const ITERATIONS = 4_096;

/** Needs the right to change roles. Throws if the role is not there. */
export async function setLogin(db: Queryable, role: LedgerRole, password: string): Promise<void> {
  // A utility statement takes no parameters; neither part has a quote in it.
  await db.query({ text: `ALTER ROLE ${roleName(role)} LOGIN PASSWORD '${scramSecret(password)}'` });
}

/** `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` of a password in ASCII. */
function scramSecret(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const key = (name: string) => createHmac('sha256', salted).update(name).digest();
  const stored = createHash('sha256').update(key('Client Key')).digest('base64');
  const server = key('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${server}`;
}
