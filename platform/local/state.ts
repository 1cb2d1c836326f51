/** What a data folder remembers from start to start: ports and secrets. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readJson, writeJson } from './json-file.ts';

export type StackState = {
  ports: { redis?: number; postgres?: number; reconciler?: number; sandbox?: number };
  jwt_secret: string;
  psp_secret: string;
  /** Where the engine answered at the last start. */
  url?: string;
  demo?: { id: string; closes_at: string };
};

export function loadState(folder: string): StackState & { is_new: boolean } {
  const known = readJson<StackState>(stateFile(folder));
  if (known) return { ...known, is_new: false };
  const secret = () => randomBytes(32).toString('base64url');
  return { ports: {}, jwt_secret: secret(), psp_secret: secret(), is_new: true };
}

export function saveState(folder: string, { is_new: _, ...state }: StackState & { is_new: boolean }): void {
  writeJson(stateFile(folder), state);
}

function stateFile(folder: string): string {
  return join(folder, 'state.json');
}
