/** The stack that runs on a data folder, for tools that want to talk to it. */
import { roleName } from '../../ledger/roles/set-login.ts';
import { lockHolder } from './lock.ts';
import { loadState } from './state.ts';

/** Undefined if none runs there. The secret signs its tokens, unless it was started with a JWT_SECRET of its own. */
export function runningStack(data_dir: string): { url: string; jwt_secret: string } | undefined {
  const { url, jwt_secret } = loadState(data_dir);
  return lockHolder(data_dir) && url ? { url, jwt_secret } : undefined;
}

/** The ledger of its own that the stack on a data folder keeps, for who only reads. Undefined if none runs there. */
export function runningLedger(data_dir: string): string | undefined {
  const { ports, ledger_passwords } = loadState(data_dir);
  if (!lockHolder(data_dir) || !ports.postgres) return undefined;
  return `postgres://${roleName('auditor')}:${ledger_passwords.auditor}@127.0.0.1:${ports.postgres}/stampede`;
}
