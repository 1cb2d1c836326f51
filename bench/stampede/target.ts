/** The engine a run goes against: the one named, the one that runs here, or one of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../platform/local/ports.ts';
import { removePostgres } from '../../platform/local/postgres-server.ts';
import { projectFolder } from '../../platform/local/project.ts';
import { runningStack } from '../../platform/local/running-stack.ts';
import { UsageError } from './options.ts';

export type Target = {
  url: string;
  jwt_secret: string;
  /** For the summary. */
  text: string;
  close(): Promise<void>;
};

export async function findTarget(
  url: string | undefined,
  env: { data_dir: string; jwt_secret?: string },
  say: (line: string) => void,
): Promise<Target> {
  const close = async () => {};
  if (url) {
    if (!env.jwt_secret) throw new UsageError('--url needs the JWT_SECRET of that engine in the environment');
    return { url, jwt_secret: env.jwt_secret, text: url, close };
  }
  const running = runningStack(resolve(env.data_dir));
  if (running) {
    const jwt_secret = env.jwt_secret ?? running.jwt_secret;
    return { url: running.url, jwt_secret, text: `${running.url}, the stack on ${env.data_dir}`, close };
  }
  return ownStack(say);
}

async function ownStack(say: (line: string) => void): Promise<Target> {
  say('No stack runs here; starting one for this run');
  const folder = mkdtempSync(join(tmpdir(), 'stampede-run-'));
  // Run by root, Postgres is another account, and has to get in.
  chmodSync(folder, 0o711);
  const data_dir = join(folder, 'data');
  const log_file = join(folder, 'stack.log');
  const log = openSync(log_file, 'a');
  const port = await freePort();
  const { REDIS_URL: _, DATABASE_URL: __, JWT_SECRET: ___, JWT_JWKS_URL: ____, ...env } = process.env;
  // The channel ties it to us: it ends when we do, however that happens.
  const child = fork(join(projectFolder(), 'dist/platform/local/main.js'), {
    env: { ...env, DATA_DIR: data_dir, PORT: String(port), HOST: '127.0.0.1' },
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  const exited = once(child, 'exit');
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    removePostgres(join(data_dir, 'postgres'));
    rmSync(folder, { recursive: true, force: true });
  };
  const ready = await Promise.race([once(child, 'message').then(() => true), exited.then(() => false)]);
  const stack = ready ? runningStack(data_dir) : undefined;
  if (!stack) {
    const text = readFileSync(log_file, 'utf8');
    await close();
    throw new Error(`The stack did not start:\n${text}`);
  }
  return { ...stack, text: 'a stack of its own', close };
}
