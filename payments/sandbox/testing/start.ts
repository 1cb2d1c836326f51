/** A sandbox PSP in a process of its own, as it runs in life, for tests: it can be killed and started again. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { journalPath } from '../journal.ts';
import { type Testimony, testimony } from '../witness.ts';

export const TEST_SECRET = 'sandbox-secret-for-tests';

export type TestSandbox = {
  url: string;
  secret: string;
  pid(): number;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** What its journal says. */
  testimony(): Promise<Testimony>;
  admin(what: string, body: object): Promise<Record<string, unknown>>;
  /** Ends it and removes its journal. */
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export async function startTestSandbox(options: { webhook_url?: string } = {}): Promise<TestSandbox> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-psp-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child = await spawn();

  async function spawn(): Promise<ChildProcess> {
    const started = fork(MAIN, {
      execArgv: ['--import', 'tsx'],
      env: {
        ...process.env,
        HOST: '127.0.0.1',
        SANDBOX_PORT: String(port),
        SANDBOX_DIR: dir,
        PSP_SANDBOX_SECRET: TEST_SECRET,
        PSP_SANDBOX_WEBHOOK_URL: options.webhook_url ?? 'http://127.0.0.1:9/',
        LOG_LEVEL: 'warn',
      },
    });
    const ready = await Promise.race([
      once(started, 'message').then(() => true),
      once(started, 'exit').then(() => false),
    ]);
    if (!ready) throw new Error('the sandbox did not start');
    return started;
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  return {
    url,
    secret: TEST_SECRET,
    pid: () => child.pid ?? 0,
    kill: () => end('SIGKILL'),
    start: async () => {
      child = await spawn();
    },
    testimony: () => testimony(journalPath(dir)),
    async admin(what, body) {
      const response = await fetch(`${url}/admin/${what}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TEST_SECRET}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Record<string, unknown>;
    },
    stop: async () => {
      await end('SIGTERM');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
