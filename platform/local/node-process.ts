/** One of our own processes (engine, reconciler, sandbox) as a child that says when it is ready. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Running } from './keep-running.ts';
import { projectFolder } from './project.ts';
import { logTail, type ServerProcess, spawnServer } from './server-process.ts';

export type NodeProcessOptions = {
  name: string;
  /** Its main file below dist/, such as `engine/main.js`. */
  main: string;
  /** Options of Node itself. */
  node_options?: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  log_file: string;
  on_spawn: (pid: number) => void;
  /** How long it may drain after SIGTERM. */
  drain_ms: number;
};

const READY_MS_MAX = 60_000;

/** Resolves when the process has sent `ready`; rejects with the end of its log if it ends before. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<Running> {
  const file = join(projectFolder(), 'dist', options.main);
  if (!existsSync(file))
    throw new Error(`${options.name} is not built: ${file} is missing. Run npm run build`);
  const server = spawnServer({
    command: process.execPath,
    args: ['--enable-source-maps', ...(options.node_options ?? []), file],
    env: options.env,
    log_file: options.log_file,
    ipc: true,
    on_spawn: options.on_spawn,
  });
  if (!(await saysReady(server))) {
    await server.end('SIGKILL', 0);
    throw new Error(
      `${options.name} did not get ready. The end of ${options.log_file}:\n${logTail(options.log_file)}`,
    );
  }
  return { exited: server.exited, stop: () => server.end('SIGTERM', options.drain_ms) };
}

async function saysReady(server: ServerProcess): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const ready = new Promise<boolean>((resolve) => {
    server.child.on('message', (message) => {
      if (message === 'ready') resolve(true);
    });
    timer = setTimeout(resolve, READY_MS_MAX, false);
  });
  const answer = await Promise.race([ready, server.exited.then(() => false)]);
  clearTimeout(timer);
  return answer;
}
