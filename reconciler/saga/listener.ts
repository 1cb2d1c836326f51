/** Hears what any process commits for the saga (NOTIFY). While the connection is away, polling has to do. */
import pg from 'pg';
import { WAKE_CHANNEL } from '../../payments/jobs/enqueue.ts';
import { clientConfig } from '../../platform/postgres.ts';
import { createWaker } from './waker.ts';

export type Listener = { stop(): Promise<void> };

const RECONNECT_MS = 1_000;

/** `hear` gets the queue's name, or undefined after a gap in which anything may have been missed. */
export function listen(url: string, hear: (what: string | undefined) => void): Listener {
  const ended = createWaker();
  let stopping = false;
  let client: pg.Client | undefined;

  const loop = (async () => {
    while (!stopping) {
      client = new pg.Client(clientConfig({ url, application_name: 'stampede-saga-listener' }));
      const lost = new Promise<void>((resolve) => {
        client?.on('error', () => resolve());
        client?.on('end', () => resolve());
      });
      client.on('notification', (message) => hear(message.payload));
      try {
        await client.connect();
        await client.query(`LISTEN ${WAKE_CHANNEL}`);
        hear(undefined);
        await lost;
      } catch {
        // Away: tried again below.
      }
      await client.end().catch(() => {});
      if (!stopping) await ended.wait(RECONNECT_MS);
    }
  })();

  return {
    async stop() {
      stopping = true;
      ended.wake();
      await client?.end().catch(() => {});
      await loop;
    },
  };
}
