/** A server of somebody else's making (Redis, Postgres) as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export type ServerProcess = {
  pid: number;
  child: ChildProcess;
  /** Resolves when the process is gone, however it ended. Never rejects. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Sends `signal`, after `patience_ms` SIGKILL; resolves when the process is gone. */
  end(signal: NodeJS.Signals, patience_ms: number): Promise<void>;
};

export type SpawnOptions = {
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string | undefined>>;
  /** Both output streams go here (appended). Opened by us, so the process itself needs no right to it. */
  log_file: string;
  uid?: number;
  gid?: number;
  /** With a channel for messages (our own Node processes). */
  ipc?: boolean;
  /** Called in the same turn in which the process was started, with its id. */
  on_spawn?: (pid: number) => void;
};

export function spawnServer(options: SpawnOptions): ServerProcess {
  const log = openSync(options.log_file, 'a', 0o600);
  const child = spawn(options.command, options.args, {
    env: options.env ?? process.env,
    stdio: ['ignore', log, log, ...(options.ipc ? (['ipc'] as const) : [])],
    // A process group of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends things in order.
    detached: true,
    // Another account may not be allowed where we are.
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid, cwd: '/' }),
  });
  closeSync(log);
  if (child.pid !== undefined) options.on_spawn?.(child.pid);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: 127, signal: null }));
  });
  return {
    pid: child.pid ?? 0,
    child,
    exited,
    async end(signal, patience_ms) {
      child.kill(signal);
      const gone = await Promise.race([exited.then(() => true), sleep(patience_ms, false, { ref: false })]);
      if (!gone) child.kill('SIGKILL');
      await exited;
    },
  };
}

/**
 * Waits until `probe` says true. Throws with the end of the log if the process ends first or
 * `patience_ms` pass.
 */
export async function untilServing(
  name: string,
  server: ServerProcess,
  probe: () => Promise<boolean>,
  options: { log_file: string; patience_ms: number },
): Promise<void> {
  let running = true;
  void server.exited.then(() => {
    running = false;
  });
  const deadline_ms = Date.now() + options.patience_ms;
  while (running && Date.now() < deadline_ms) {
    if (await probe()) return;
    await sleep(20);
  }
  const why = running ? `does not answer after ${options.patience_ms / 1000} s` : 'ended while starting';
  await server.end('SIGKILL', 0);
  throw new Error(`${name} ${why}. The end of ${options.log_file}:\n${logTail(options.log_file)}`);
}

export function logTail(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}
