/**
 * After a kill -9 the queues believe for a minute that their jobs are being worked on. A saga that finds itself alone
 * knows better and gives them back: done again, each begins with a look.
 */
import type PgBoss from 'pg-boss';
import { QUEUES } from '../../payments/jobs/queues.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

/** $1 queue names */
const ACTIVE_JOBS = {
  name: 'saga_active_jobs',
  text: `SELECT name, array_agg(id::text) AS ids FROM pgboss.job WHERE name = ANY ($1) AND state = 'active' GROUP BY name`,
};

/** Returns how many jobs were given back. */
export async function takeOver(db: Queryable, boss: PgBoss): Promise<number> {
  const held = await rows<{ name: string; ids: string[] }>(db, ACTIVE_JOBS, [QUEUES]);
  for (const { name, ids } of held) await boss.fail(name, ids);
  return held.reduce((sum, { ids }) => sum + ids.length, 0);
}
