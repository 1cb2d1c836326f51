/** Starts and ends the process of the slow clients. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { SlowOptions, SlowState } from './slow-child.ts';

export type SlowCrowd = { state(): SlowState; end(): Promise<void> };

/** Those thrown out are about to come again: all of them are hardly ever there at once. */
const THERE = 0.9;
/** Where the server does not let so many in, the round begins without them. */
const GATHER_MS_MAX = 20_000;

/** Resolves when nearly all of them are there. */
export async function startSlow(options: SlowOptions): Promise<SlowCrowd> {
  const child = fork(fileURLToPath(new URL('./slow-child.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    stdio: 'inherit',
  });
  let last: SlowState = { open: 0, thrown_out: 0 };
  let ended = false;
  const exited = once(child, 'exit');
  void exited.then(([code]) => {
    if (!ended) throw new Error(`the slow clients ended with ${code}`);
  });
  child.on('message', (told) => {
    last = told as SlowState;
  });
  child.send(options);
  const until = performance.now() + GATHER_MS_MAX;
  while (last.open < options.sockets * THERE && performance.now() < until) await sleep(50);
  return {
    state: () => last,
    async end() {
      ended = true;
      child.kill('SIGKILL');
      await exited;
    },
  };
}
