/** A client in JavaScript as a process of its own, so that its work and its pauses are not the bench's. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ClientResult, Load } from './client.ts';

/** `file`: a module that calls `serveLoads`. `load`: what it takes. */
export async function runForked<L extends Load>(file: string, load: L): Promise<ClientResult> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the client ${file} ended with ${code}`);
  });
  // Its end after the result is no error.
  ended.catch(() => {});
  try {
    child.send(load);
    const [result] = (await Promise.race([once(child, 'message'), ended])) as [ClientResult];
    return result;
  } finally {
    child.kill('SIGKILL');
  }
}

/** Within the process: takes one load, tells its result. */
export function serveLoad<L extends Load>(run: (load: L) => Promise<ClientResult>): void {
  process.on('disconnect', () => process.exit(0));
  process.once('message', (load: L) => {
    void run(load).then((result) => process.send?.(result));
  });
}
