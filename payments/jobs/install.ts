/**
 * Makes pg-boss's tables and our queues, and checks that every queue is there as it should be: pg-boss inserts
 * nothing, without a word, for a queue that it does not know.
 */
import PgBoss from 'pg-boss';
import type { Queryable } from '../../platform/postgres.ts';
import { DEAD_LETTER_QUEUE, QUEUE_SETTINGS, QUEUES } from './queues.ts';

/** Safe to call again, and from several processes at once. Throws if a queue is not as it should be. */
export async function installJobs(db: Queryable): Promise<void> {
  const boss = new PgBoss({ db: bossDb(db), supervise: false, schedule: false });
  boss.on('error', () => {});
  await boss.start();
  try {
    // First the dead letters: the others point to them.
    for (const name of [
      DEAD_LETTER_QUEUE,
      ...QUEUES.filter((queue) => queue !== DEAD_LETTER_QUEUE),
    ] as const) {
      const options = { name, ...QUEUE_SETTINGS[name] };
      await boss.createQueue(name, options);
      await boss.updateQueue(name, { ...options });
    }
    const known = new Map((await boss.getQueues()).map((queue) => [queue.name, queue]));
    for (const name of QUEUES) {
      const queue = known.get(name);
      const wanted = QUEUE_SETTINGS[name];
      if (queue?.retryLimit !== wanted.retryLimit || (queue.deadLetter ?? undefined) !== wanted.deadLetter) {
        throw new Error(`queue ${name} is not as it should be`);
      }
    }
  } finally {
    await boss.stop({ close: false, graceful: false });
  }
}

/** Lets pg-boss run its statements on our connections. */
export function bossDb(db: Queryable): PgBoss.Db {
  return {
    executeSql: async (text, values) => ({ rows: (await db.query<never>({ text, values })).rows }),
  };
}
