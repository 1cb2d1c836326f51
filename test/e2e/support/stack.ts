/** The whole local stack as a user starts it, in a folder and on ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Api, connectApi } from '../../../bench/stampede/api.ts';
import { freePort } from '../../../platform/local/ports.ts';
import { removePostgres } from '../../../platform/local/postgres-server.ts';
import { describeProcess } from '../../../platform/local/processes.ts';
import { lastWill } from '../../support/last-will.ts';

export type Part = 'engine' | 'reconciler' | 'sandbox' | 'mailbox' | 'Redis' | 'Postgres';

export type RunningStack = {
  url: string;
  api: Api;
  admin: string;
  /** Of the supervisor. */
  pid: number;
  child: ChildProcess;
  /** All it has printed so far. */
  output(): string;
  /** The process that is this part now; throws if there is none. */
  pidOf(part: Part): number;
  /** kill -9 of a part, if it runs just now. */
  kill(part: Part): void;
  /** Asks the ledger itself, on a connection of its own. */
  sql<T extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /** The payments in the sandbox PSP's own journal, each as it is now. */
  payments(): PspPayment[];
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** kill -9 of the supervisor and all its parts at once. */
  killAll(): Promise<void>;
};

export type PspPayment = { id: string; order_id: string; status: string; captured: number; refunded: number };

const main = fileURLToPath(new URL('../../../dist/platform/local/main.js', import.meta.url));
const READY_MS = 90_000;

/** An empty data folder for one test; `remove` when its stack has ended. */
export function dataFolder(): { path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-e2e-'));
  // Run by root, Postgres is another account, and has to get in.
  chmodSync(folder, 0o711);
  const path = join(folder, 'data');
  return {
    path,
    remove() {
      removePostgres(join(path, 'postgres'));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a stack and waits until it serves. Rejects with its output if it ends before. */
export async function startStack(
  data_dir: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningStack> {
  const port = Number(settings.PORT ?? (await freePort()));
  // A reconciler that gives way would wait for the other tests of this machine.
  const defaults = { RECONCILER_NICE: '0' };
  const { child, output } = spawnSupervisor(data_dir, { ...defaults, ...settings, PORT: String(port) });
  const exited = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
  const ready = await Promise.race([once(child, 'message').then(() => true), exited.then(() => false)]);
  clearTimeout(timer);
  if (!ready) throw new Error(`The stack did not start:\n${output()}`);

  const url = `http://127.0.0.1:${port}`;
  const state = readState(data_dir);
  const api = connectApi(url, state.jwt_secret);
  const pids = () => Object.fromEntries(recorded(data_dir).map(({ name, pid }) => [name, pid]));
  const revoke = lastWill([child.pid!, ...Object.values(pids())]);
  const password = readFileSync(join(data_dir, 'postgres/password'), 'utf8');
  return {
    url,
    api,
    admin: api.token('e2e', 'admin'),
    pid: child.pid!,
    child,
    output,
    pidOf(part) {
      const pid = pids()[part];
      if (pid === undefined) throw new Error(`${part} does not run`);
      return pid;
    },
    kill(part) {
      const pid = pids()[part];
      if (pid !== undefined) kill9(pid);
    },
    async sql(text, values = []) {
      const client = new pg.Client({
        connectionString: `postgres://stampede:${password}@127.0.0.1:${state.ports.postgres}/stampede`,
      });
      await client.connect();
      try {
        return (await client.query(text, [...values])).rows;
      } finally {
        await client.end();
      }
    },
    payments: () => readPayments(join(data_dir, 'sandbox/sandbox.jsonl')),
    async stop() {
      child.kill('SIGTERM');
      const [code] = (await exited) as [number | null];
      revoke();
      return code;
    },
    async killAll() {
      for (const pid of [child.pid!, ...Object.values(pids())]) kill9(pid);
      await exited;
      revoke();
    },
  };
}

/** Runs the supervisor until it ends by itself; for starts that are refused. */
export async function refusedStart(
  data_dir: string,
  settings: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const { child, output } = spawnSupervisor(data_dir, settings);
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, output: output() };
}

function spawnSupervisor(data_dir: string, settings: Readonly<Record<string, string>>) {
  const log_file = `${data_dir}.log`;
  const log = openSync(log_file, 'a');
  const begin = readFileSync(log_file).length;
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, NO_COLOR: '1', ...settings, DATA_DIR: data_dir },
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  return { child, output: () => readFileSync(log_file).subarray(begin).toString() };
}

type State = { jwt_secret: string; ports: { postgres: number } };

function readState(data_dir: string): State {
  return JSON.parse(readFileSync(join(data_dir, 'state.json'), 'utf8')) as State;
}

function recorded(data_dir: string): { name: Part; pid: number }[] {
  return JSON.parse(readFileSync(join(data_dir, 'processes.json'), 'utf8'));
}

function readPayments(journal: string): PspPayment[] {
  const payments = new Map<string, PspPayment>();
  // The last line may be one that is just being written.
  for (const text of readFileSync(journal, 'utf8').split('\n').slice(0, -1)) {
    const line = JSON.parse(text) as { kind: string; payment: PspPayment };
    if (line.kind === 'payment') payments.set(line.payment.id, line.payment);
  }
  return [...payments.values()];
}

function kill9(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

export function childrenOf(parent: number): number[] {
  return allProcesses().filter((pid) => {
    const stat = textOf(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(parent);
  });
}

/** Every living process that was started for this data folder, by what the system knows of it. */
export function processesOf(data_dir: string): string[] {
  return allProcesses().flatMap((pid) => {
    const found = pid === process.pid ? undefined : describeProcess(pid);
    if (!found) return [];
    const environment = textOf(`/proc/${pid}/environ`).split('\0');
    const mine = found.command.includes(data_dir) || environment.includes(`DATA_DIR=${data_dir}`);
    return mine ? [`${pid} ${found.command}`] : [];
  });
}

function allProcesses(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Empty if the process is gone or not ours. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
