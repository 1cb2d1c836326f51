/** Nothing a test started may outlive it, not even when the test itself is killed with -9. */
import { spawn } from 'node:child_process';

/**
 * Kills `pids` and removes `folder` when this process ends in whatever way: a shell waits for the end
 * of the pipe that only this process holds. Returns a function that revokes it.
 */
export function lastWill(pids: readonly number[], folder?: string): () => void {
  const script = 'read -r revoked || { kill -9 $1 2>/dev/null; [ -z "$2" ] || rm -rf "$2"; }';
  const shell = spawn('/bin/sh', ['-c', script, 'sh', pids.join(' '), folder ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  shell.unref();
  shell.stdin.on('error', () => {});
  return () => shell.stdin.end('revoked\n');
}
