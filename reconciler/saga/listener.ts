/**
 * The connection on which a saga hears what any process commits for it (NOTIFY), and by which it is known to be alive:
 * it holds a shared lock. While the connection is away, polling has to do.
 */
import pg from 'pg';
import { WAKE_CHANNEL } from '../../payments/jobs/enqueue.ts';
import { clientConfig } from '../../platform/postgres.ts';
import { createWaker } from './waker.ts';

export type Listener = { stop(): Promise<void> };

export type ListenerOptions = {
  database_url: string;
  /** Gets the queue's name, or undefined after a gap in which anything may have been missed. */
  hear: (what: string | undefined) => void;
  /** Called once, before the first `hear`, if no other saga is alive. None begins while it runs. */
  on_alone: () => Promise<void>;
};

const RECONNECT_MS = 1_000;
/** Any number that nobody else uses as an advisory lock's key. */
const ALIVE = 71_400;

/** Resolves once it listens; rejects if the first connection fails. Later it reconnects for ever. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const ended = createWaker();
  let stopping = false;
  let first = true;
  let client: pg.Client | undefined;
  let ready = () => {};
  let failed: (error: unknown) => void = () => {};
  const listening = new Promise<void>((resolve, reject) => {
    ready = resolve;
    failed = reject;
  });

  async function enter(connected: pg.Client): Promise<void> {
    const lock = async (call: string): Promise<boolean> => {
      const { rows } = await connected.query<{ held: boolean }>(`SELECT ${call}(${ALIVE}) AS held`);
      return rows[0].held;
    };
    if (first && (await lock('pg_try_advisory_lock'))) {
      await options.on_alone();
      await lock('pg_advisory_lock_shared');
      await lock('pg_advisory_unlock');
    } else {
      await lock('pg_advisory_lock_shared');
    }
    first = false;
    await connected.query(`LISTEN ${WAKE_CHANNEL}`);
  }

  const loop = (async () => {
    while (!stopping) {
      const connected = new pg.Client(
        clientConfig({ url: options.database_url, application_name: 'stampede-saga-listener' }),
      );
      client = connected;
      const lost = new Promise<void>((resolve) => {
        connected.on('error', () => resolve());
        connected.on('end', () => resolve());
      });
      connected.on('notification', (message) => options.hear(message.payload));
      try {
        await connected.connect();
        await enter(connected);
        ready();
        options.hear(undefined);
        await lost;
      } catch (error) {
        // Away: tried again below, unless nobody has been told yet that this listens.
        stopping ||= first;
        failed(error);
      }
      await connected.end().catch(() => {});
      if (!stopping) await ended.wait(RECONNECT_MS);
    }
  })();

  await listening;
  return {
    async stop() {
      stopping = true;
      ended.wake();
      await client?.end().catch(() => {});
      await loop;
    },
  };
}
