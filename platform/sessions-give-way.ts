/**
 * Sessions at a Postgres of this machine that give way. Each is a process of its own, and where Linux shares a machine between
 * sessions first (see give-way.ts) each has as large a share as the engine, however nice the process is that it works for.
 */
import { readFileSync } from 'node:fs';
import { giveWay } from './give-way.ts';
import type { Pool } from './postgres.ts';

/** One is told after the other: the system takes one a tenth of a second. */
let turn: Promise<void> = Promise.resolve();

/** Every session that the pool opens from now on. One that can't be told, because it is somewhere else or somebody else's, works on as it is. */
export function sessionsGiveWay(pool: Pool, nice: number): void {
  if (nice === 0) return;
  pool.on('connect', (client) => {
    client
      .query<{ pid: number; port: number | null }>(
        'SELECT pg_backend_pid() AS pid, inet_client_port() AS port',
      )
      .then(({ rows: [{ pid, port }] }) => {
        // Asked each time: meanwhile the number may be another's.
        const isIt = () => port !== null && isSession(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), port);
        turn = turn.then(() => giveWay(nice, pid, isIt)).catch(() => {});
      })
      // Whoever is given the connection will see what is wrong with it.
      .catch(() => {});
  });
}

/**
 * Is a process of this title the session of the connection from this port? Postgres writes both into it (`postgres: user database
 * 127.0.0.1(40312) idle`). A process that has the number of a session on another machine is none.
 */
export function isSession(title: string, port: number): boolean {
  return title.startsWith('postgres: ') && title.includes(`(${port})`);
}
