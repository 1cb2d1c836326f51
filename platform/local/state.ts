/** What a data folder remembers from start to start: ports and secrets. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { LedgerRole } from '../../ledger/roles/set-login.ts';
import type { Demo } from './demo-sale.ts';
import { readJson, writeJson } from './json-file.ts';
import type { RedisPasswords } from './redis-users.ts';

export type StackState = {
  ports: {
    redis?: number;
    postgres?: number;
    reconciler?: number;
    sandbox?: number;
    mailbox?: number;
    mailbox_smtp?: number;
  };
  jwt_secret: string;
  psp_secret: string;
  webhook_key: string;
  /** Of the users of Redis and the roles of Postgres. */
  redis_passwords: RedisPasswords;
  ledger_passwords: Readonly<Record<LedgerRole, string>>;
  /** Where the engine answered at the last start; absent until one has succeeded. */
  url?: string;
  demo?: Demo;
};

/** What is remembered, or secrets made just now: save them before using them. */
export function loadState(folder: string): StackState {
  const secret = () => randomBytes(32).toString('base64url');
  const fresh = {
    ports: {},
    jwt_secret: secret(),
    psp_secret: secret(),
    webhook_key: secret(),
    redis_passwords: { engine: secret(), reconciler: secret(), operator: secret() },
    ledger_passwords: { engine: secret(), reconciler: secret(), auditor: secret() },
  };
  // A folder from before one of them was needed gets it now.
  return { ...fresh, ...readJson<StackState>(stateFile(folder)) };
}

export function saveState(folder: string, state: StackState): void {
  writeJson(stateFile(folder), state);
}

function stateFile(folder: string): string {
  return join(folder, 'state.json');
}
