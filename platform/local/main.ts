/** `npm start`: runs the whole of Stampede on this machine, until SIGINT or SIGTERM. */
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError } from '../config.ts';
import { banner } from './banner.ts';
import { createDemoSale } from './demo-sale.ts';
import { takeLock } from './lock.ts';
import { portIsFree } from './ports.ts';
import { processRecord } from './process-record.ts';
import { type LocalSettings, localSettings } from './settings.ts';
import { type LocalStack, localStack } from './stack.ts';
import { loadState, type StackState, saveState } from './state.ts';
import { localToken } from './tokens.ts';

const HELP = `Usage: npm start [-- --help]

Runs Stampede on this machine: Redis, Postgres, the engine, the reconciler and a sandbox payment
provider, with a demo sale. Ctrl-C ends it; the next start continues with the same data.

Environment (all optional):
  PORT          port of the store and the API (3000)
  HOST          address to listen on (127.0.0.1)
  DATA_DIR      folder for all data, ports and secrets (.data)
  REDIS_URL     use this Redis instead of starting one
  DATABASE_URL  use this Postgres instead of starting one
  JWT_SECRET    secret that signs tokens (HS256); without it a random one, kept in DATA_DIR
  JWT_JWKS_URL  keys that sign tokens instead
  LOG_LEVEL     fatal, error, warn, info, debug, trace or silent (info)
The README lists the rest.
`;

const BUYER_TOKEN_SECONDS = 7 * 86_400;

type State = StackState & { is_new: boolean };

/** Lines while it runs. The time tells what belongs together with the logs. */
function say(line: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
}

/** Resolves when everything serves, or when a signal has ended it. */
async function run(settings: LocalSettings): Promise<void> {
  const began_ms = Date.now();
  const { data_dir, host, port } = settings;
  // What is secret in it only its owner reads; Postgres, another account under root, must get through.
  mkdirSync(data_dir, { recursive: true, mode: 0o711 });
  const holder = takeLock(data_dir);
  const state = loadState(data_dir);
  if (holder) {
    throw new Error(
      `Stampede already runs on ${data_dir} (process ${holder.pid}, ${state.url ?? 'starting'})`,
    );
  }
  saveState(data_dir, state);
  const record = processRecord(data_dir);
  const ended = await record.endAll();
  if (ended.length > 0) say(`Ended what a killed start left behind: ${ended.join(', ')}`);
  if (!(await portIsFree(port, host))) {
    throw new Error(`PORT ${port} is in use on ${host}. Choose another, such as PORT=${port + 1} npm start`);
  }
  const stack = localStack({ settings, state, record, say });
  const ending = endOnSignal(stack);
  try {
    await serve(stack, settings, state, began_ms);
  } catch (error) {
    // Parts that a signal ends while they start fail to start.
    if (ending.aborted) return;
    await stack.stop();
    throw error;
  }
}

async function serve(
  stack: LocalStack,
  settings: LocalSettings,
  state: State,
  began_ms: number,
): Promise<void> {
  const facts = await stack.start();
  const secret = settings.jwt_secret ?? (settings.jwt_jwks_url ? undefined : state.jwt_secret);
  if (secret) {
    await createDemoSale(
      facts.url,
      localToken(secret, { sub: 'local-stack', role: 'admin' }, 60),
      facts.demo,
    );
    state.demo = facts.demo;
  }
  state.url = facts.url;
  saveState(settings.data_dir, state);
  const text = banner({
    ...facts,
    data_dir: settings.data_dir,
    ready_seconds: (Date.now() - began_ms) / 1000,
    buyer_token: secret && localToken(secret, { sub: 'demo-buyer', role: 'buyer' }, BUYER_TOKEN_SECONDS),
    new_jwt_secret: state.is_new && secret === state.jwt_secret ? secret : undefined,
    color: process.stdout.isTTY === true && !process.env.NO_COLOR,
  });
  console.log(text);
  process.send?.('ready');
}

/** The signal returned says that the stack is ending. */
function endOnSignal(stack: LocalStack): AbortSignal {
  const ending = new AbortController();
  const end = async () => {
    // Ctrl-C reaches us twice under npm: from the terminal and from npm.
    if (ending.signal.aborted) return;
    ending.abort();
    say('Ending');
    await stack.stop();
    say('Ended; nothing runs any more');
    process.exit(0);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => void end());
  // Started by a program (a test, a load run) that has ended.
  process.on('disconnect', () => void end());
  return ending.signal;
}

function readArguments(): void {
  try {
    const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
    if (!values.help) return;
    console.log(HELP);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function isExplained(error: unknown): error is Error {
  return error instanceof ConfigError || (error instanceof Error && error.name === 'Error');
}

// A terminal that went away must not end the stack with EPIPE.
process.stdout.on('error', () => {});
readArguments();
try {
  await run(localSettings(process.env));
} catch (error) {
  // Messages are written for the reader; only what nobody foresaw needs its stack.
  console.error(isExplained(error) ? error.message : error);
  process.exit(1);
}
