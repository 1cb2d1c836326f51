/** The raw echo as a process, with the CPU that it spends. */
import { once } from 'node:events';
import { freePort } from '../../platform/local/ports.ts';
import { forkBuilt } from './built.ts';
import type { Spot } from './measure.ts';
import type { World } from './world.ts';

export type Echo = { spot: Spot; close(): Promise<void> };

/** `alone`: what it is measured within. */
export async function startEcho(alone: World['alone']): Promise<Echo> {
  const port = await freePort();
  const child = forkBuilt('bench/lab/echo-server.js', { env: { ...process.env, PORT: String(port) } });
  const [said] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['gone'])]);
  if (said !== 'ready') throw new Error('the echo server did not start');
  return {
    spot: { url: `http://127.0.0.1:${port}/v1/checkout`, pids: { echo: child.pid ?? 0 }, alone },
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}
