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

Runs Stampede on this machine: Redis, Postgres, the engine, the reconciler, a sandbox payment
provider and a mailbox, with a demo sale. Ctrl-C ends it; the next start continues with the same data.

Environment (all optional):
  PORT          port of the store and the API (3000)
  HOST          address to listen on (127.0.0.1)
  DATA_DIR      folder for all data, ports and secrets (.data)
  REDIS_URL     use this Redis instead of starting one
  DATABASE_URL  use this Postgres instead of starting one
  JWT_SECRET    secret that signs tokens (HS256); without it a random one, kept in DATA_DIR
  JWT_JWKS_URL  keys that sign tokens instead
  SMTP_URL      send mail there, from MAIL_FROM, instead of into the mailbox of this stack
  LOG_LEVEL     fatal, error, warn, info, debug, trace or silent (info)
The README lists the rest.
`;

const BUYER_TOKEN_SECONDS = 7 * 86_400;
/** Notices go where the token's claims say. */
const DEMO_BUYER = { sub: 'demo-buyer', role: 'buyer', email: 'demo-buyer@example.com' } as const;

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
  const end = ender(stack);
  try {
    await serve(stack, settings, state, began_ms);
  } catch (error) {
    await end(1, error);
  }
}

async function serve(
  stack: LocalStack,
  settings: LocalSettings,
  state: StackState,
  began_ms: number,
): Promise<void> {
  const facts = await stack.start();
  const first_start = state.url === undefined;
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
    buyer_token: secret && localToken(secret, DEMO_BUYER, BUYER_TOKEN_SECONDS),
    new_jwt_secret: first_start && secret === state.jwt_secret ? secret : undefined,
    color: process.stdout.isTTY === true && !process.env.NO_COLOR,
  });
  console.log(text);
  process.send?.('ready');
}

/** How the stack ends, once, for whatever reason: the first one gives the exit code. */
function ender(stack: LocalStack): (code: number, error?: unknown) => Promise<void> {
  let ending = false;
  const end = async (code: number, error?: unknown) => {
    // Ctrl-C reaches us twice under npm; and what we end fails in the midst of whatever it was doing.
    if (ending) return;
    ending = true;
    if (error) explain(error);
    say('Ending');
    await stack.stop();
    say('Ended; nothing runs any more');
    process.exit(code);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => void end(0));
  // Started by a program (a test, a load run) that has ended.
  process.on('disconnect', () => void end(0));
  process.on('uncaughtException', (error) => void end(1, error));
  return end;
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

/** Messages are written for the reader; only what nobody foresaw needs its stack. */
function explain(error: unknown): void {
  const known = error instanceof ConfigError || (error instanceof Error && error.name === 'Error');
  console.error(known ? error.message : error);
}

// A terminal that went away must not end the stack with EPIPE.
process.stdout.on('error', () => {});
readArguments();
try {
  await run(localSettings(process.env));
} catch (error) {
  explain(error);
  process.exit(1);
}
