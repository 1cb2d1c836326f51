/** The operator's command for merchants' webhooks: npm run webhooks -- list | replay | test. */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { EVENT_TYPES, TEST_EVENT_TYPE } from '../../../domain/event-types.ts';
import { type EndpointRow, listAllEndpoints } from '../../../ledger/outbox/endpoints.ts';
import { askReplay } from '../../../ledger/outbox/replays.ts';
import { type Config, loadConfig, required } from '../../../platform/config.ts';
import { createGuardedPost } from '../../../platform/outgoing/guarded-post.ts';
import { signWebhook } from '../../../platform/outgoing/webhook-secret.ts';
import { createPool, type Pool } from '../../../platform/postgres.ts';

const HELP = `Usage: npm run webhooks -- <command> [options]

  list                   endpoints, how they do, and how much waits for each
      --tenant ID        of this tenant (all)
  replay                 sends what has happened again, under the old webhook-ids
      --endpoint ID      to this endpoint
      --since TIME       from then on, such as 2027-01-31T12:00:00Z
      --until TIME       up to then (now)
      --types A,B        these types (what the endpoint takes)
  test --url URL         sends a webhook.test there from here, once, and says what came back
      --secret SECRET    signed with this (a new one, which is told)

  --json                 for programs
  --help

Environment: DATABASE_URL for list and replay; WEBHOOK_ALLOW_HTTP=1 lets test reach this machine.
Exit code: 0 done, 1 not done, 2 wrong arguments.
`;

class Misuse extends Error {}

const OPTIONS = {
  tenant: { type: 'string' },
  endpoint: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  types: { type: 'string' },
  url: { type: 'string' },
  secret: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof readArguments>['values'];

function readArguments(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Misuse((error as Error).message);
  }
}

async function run(command: string | undefined, values: Values): Promise<void> {
  const config = loadConfig(process.env);
  const say = (text: string, value: unknown) =>
    console.log(values.json ? JSON.stringify(value, undefined, 2) : text);
  if (command === 'list') {
    const endpoints = await withLedger(config, (db) => listAllEndpoints(db, values.tenant));
    const lines = endpoints.map((one) =>
      [
        one.id,
        one.tenant,
        stateOf(one),
        `${one.waiting} waiting`,
        one.types.join(',') || 'all',
        one.url,
      ].join('  '),
    );
    say(lines.join('\n') || 'There are none.', { endpoints });
  } else if (command === 'replay') {
    const { endpoint: id } = values;
    if (!id || !values.since) throw new Misuse('--endpoint and --since are needed');
    const since = timeOf('since', values.since);
    const until = values.until === undefined ? undefined : timeOf('until', values.until);
    if (until && until <= since) throw new Misuse('--until must be after --since');
    const types = (values.types ?? '').split(',').filter((type) => type !== '');
    const unknown = types.find((type) => !EVENT_TYPES.includes(type));
    if (unknown) throw new Misuse(`there is no type ${unknown}; there are ${EVENT_TYPES.join(', ')}`);
    const replay_id = await withLedger(config, async (db) => {
      const endpoint = (await listAllEndpoints(db)).find((one) => one.id === id);
      if (!endpoint) throw new Error(`there is no endpoint ${id}`);
      return askReplay(db, endpoint.tenant, id, { since, until, types });
    });
    if (replay_id === undefined) throw new Error(`endpoint ${id} is disabled; nothing would be sent`);
    say(`Replay ${replay_id} is asked for; a reconciler carries it out.`, { replay_id });
  } else if (command === 'test') {
    if (!values.url) throw new Misuse('--url is needed');
    await test(config, values.url, values.secret, say);
  } else {
    throw new Misuse(command ? `there is no command ${command}` : 'say what to do');
  }
}

async function test(
  config: Config,
  url: string,
  given: string | undefined,
  say: (text: string, value: unknown) => void,
): Promise<void> {
  if (given !== undefined && !/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(given)) {
    throw new Misuse('--secret must be as an endpoint gets it: whsec_...');
  }
  const secret = given ?? `whsec_${randomBytes(32).toString('base64')}`;
  const at_ms = Date.now();
  const id = `evt_test_${randomBytes(6).toString('hex')}`;
  const data = { message: 'Webhooks arrive here.' };
  const body = JSON.stringify({ type: TEST_EVENT_TYPE, timestamp: new Date(at_ms).toISOString(), data });
  const target = createGuardedPost({ local: config.webhook_allow_http });
  const headers = {
    'content-type': 'application/json',
    ...signWebhook({ id, at_ms, body, secrets: [secret] }),
  };
  const posted = await target.post(url, headers, body);
  target.close();
  const took_ms = Date.now() - at_ms;
  const delivered = posted.kind === 'answered' && posted.status >= 200 && posted.status < 300;
  const what = posted.kind === 'answered' ? `it answered ${posted.status}` : posted.reason;
  const signed = given ? '' : `\nSigned with ${secret}`;
  const { kind, ...rest } = posted;
  const told = { delivered, webhook_id: id, outcome: kind, ...rest, took_ms, ...(given ? {} : { secret }) };
  say(`${delivered ? 'Delivered' : 'Not delivered'}: ${what} (${id}, ${took_ms} ms)${signed}`, told);
  if (!delivered) process.exitCode = 1;
}

function stateOf(one: EndpointRow): string {
  if (!one.enabled) return `disabled (${one.disabled_reason})`;
  return one.failing_since ? `failing since ${one.failing_since.toISOString()}` : 'works';
}

function timeOf(name: string, text: string): Date {
  const at = new Date(text);
  // A time without its zone would be another one on another machine.
  if (!/^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text) || Number.isNaN(at.getTime())) {
    throw new Misuse(`--${name} must be a date, or a time with its zone such as 2027-01-31T12:00:00Z`);
  }
  return at;
}

async function withLedger<T>(config: Config, work: (db: Pool) => Promise<T>): Promise<T> {
  const { database_url: url } = required(config, 'database_url');
  const db = createPool({ url, max: 1, application_name: 'stampede-webhooks-command', on_error: () => {} });
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}

try {
  const { values, positionals } = readArguments(process.argv.slice(2));
  if (positionals.length > 1) throw new Misuse(`what is ${positionals[1]}?`);
  if (values.help) console.log(HELP);
  else await run(positionals[0], values);
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof Misuse) console.error(`\n${HELP}`);
  process.exitCode = error instanceof Misuse ? 2 : 1;
}
