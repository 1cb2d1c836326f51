/**
 * Postgres refuses to run as root. Started by root it runs as an account without rights, and that
 * account must be able to enter the folders of the cluster and of the binaries.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Ids to run Postgres under; both undefined: those of this process. */
export type Account = { uid?: number; gid?: number };

/** Where root keeps a cluster or binaries that lie in folders closed to others (/root, 0700 clones). */
const OPEN_FOLDER = '/var/lib/stampede';

export function postgresAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
      const account = { uid: id('-u'), gid: id('-g') };
      if (account.uid !== 0) return account;
    } catch {
      // No such account.
    }
  }
  throw new Error(
    'Postgres does not run as root, and this system has neither a "postgres" nor a "nobody" account',
  );
}

/** True if `account` may go into `folder`. The kernel decides, not a guess from mode bits. */
export function mayEnter(account: Account, folder: string): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...account, cwd: '/', stdio: 'ignore' })
      .status === 0
  );
}

/**
 * Makes the folder that `account` owns and that `wanted` names. If the account can't get there, the
 * folder lies under /var/lib/stampede and `wanted` is a link to it. Returns the real place.
 */
export function accountFolder(account: Account, wanted: string): string {
  if (isThere(wanted)) {
    const place = placeOf(wanted);
    if (!isThere(place)) throw new Error(`The data of Postgres is gone: ${wanted} leads to ${place}`);
    return place;
  }
  let folder = wanted;
  if (!mayEnter(account, dirname(wanted))) {
    folder = join(openFolder(), `${Date.now().toString(36)}-${process.pid}`);
    symlinkSync(folder, wanted);
  }
  mkdirSync(folder, { mode: 0o700 });
  if (account.uid !== undefined) chownSync(folder, account.uid, account.gid ?? account.uid);
  return folder;
}

export function removeAccountFolder(wanted: string): void {
  if (isThere(wanted)) rmSync(placeOf(wanted), { recursive: true, force: true });
  rmSync(wanted, { recursive: true, force: true });
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Where the folder really lies. */
function placeOf(path: string): string {
  return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : path;
}

/** Only root comes here. */
export function openFolder(): string {
  mkdirSync(OPEN_FOLDER, { recursive: true, mode: 0o755 });
  return OPEN_FOLDER;
}
