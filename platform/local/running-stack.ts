/** The stack that runs on a data folder, for tools that want to talk to it. */
import { lockHolder } from './lock.ts';
import { loadState } from './state.ts';

/** Undefined if none runs there. The secret signs its tokens, unless it was started with a JWT_SECRET of its own. */
export function runningStack(data_dir: string): { url: string; jwt_secret: string } | undefined {
  const { url, jwt_secret } = loadState(data_dir);
  return lockHolder(data_dir) && url ? { url, jwt_secret } : undefined;
}
