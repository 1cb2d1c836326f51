/** The operator's command for notices: npm run notices -- preview | list | retry | invoice. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  listNotices,
  NOTICE_STATES,
  type NoticeState,
  retryNotices,
} from '../../../ledger/notices/list-notices.ts';
import { noticeOrders } from '../../../ledger/notices/notice-orders.ts';
import { type Config, loadConfig, required } from '../../../platform/config.ts';
import { createPool, type Pool } from '../../../platform/postgres.ts';
import { NOTICES } from '../notice-table.ts';
import { createComposeOf } from '../notify.ts';
import { preview } from './preview.ts';

const HELP = `Usage: npm run notices -- <command> [options]

  preview <notice|all>   writes what buyers would get, for a sample order
      --out DIR          into this folder (notices-preview)
      --locale TAG       as this locale writes amounts and times (NOTICE_LOCALE)
      --open             shows it in the browser
  list                   what was sent and what was not, newest first
      --state STATE      ${NOTICE_STATES.join(', ')}
      --order ID         of this order
      --limit N          so many (50)
  retry [ID...]          tries failed notices again, with the whole patience
      --order ID         those of this order
      --all              all that have failed
  invoice --order ID     writes an order's invoice
      --out FILE         to this file (the invoice's number)

  --json                 for programs
  --help

Notices: ${NOTICES.join(', ')}

Environment: DATABASE_URL for all but preview; SHOP_NAME, TEMPLATE_DIR, NOTICE_LOCALE and the rest as the reconciler's.
Exit code: 0 done, 1 not done, 2 wrong arguments.
`;

class Misuse extends Error {}

const OPTIONS = {
  out: { type: 'string' },
  locale: { type: 'string' },
  open: { type: 'boolean' },
  state: { type: 'string' },
  order: { type: 'string' },
  limit: { type: 'string', default: '50' },
  all: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Arguments = ReturnType<typeof readArguments>;

function readArguments(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Misuse((error as Error).message);
  }
}

async function run({ values, positionals: [command, ...names] }: Arguments): Promise<void> {
  const say = (text: string, value: unknown) =>
    console.log(values.json ? JSON.stringify(value, undefined, 2) : text);
  const env = values.locale ? { ...process.env, NOTICE_LOCALE: values.locale } : process.env;
  const config = loadConfig(env);
  switch (command) {
    case 'preview': {
      const wanted = names.length === 0 || names[0] === 'all' ? NOTICES : known(names);
      const written = await preview(
        createComposeOf(config),
        wanted,
        resolve(values.out ?? 'notices-preview'),
      );
      const lines = written.notices.map(({ notice, subject }) => `${notice.padEnd(20)} ${subject}`);
      say([...lines, '', `Look at ${written.index}`].join('\n'), written);
      if (values.open) show(written.index);
      return;
    }
    case 'list': {
      const state = values.state as NoticeState | undefined;
      if (state && !NOTICE_STATES.includes(state)) throw new Misuse(`there is no state ${state}`);
      const limit = Number(values.limit);
      if (!Number.isSafeInteger(limit) || limit < 1) throw new Misuse('--limit is a number from 1');
      const found = await withLedger(config, (db) =>
        listNotices(db, { state, order_id: values.order, limit }),
      );
      const lines = found.map((row) =>
        [
          row.updated_at.toISOString().slice(0, 19),
          row.state.padEnd(8),
          row.channel.padEnd(8),
          row.notice.padEnd(18),
          row.id,
          row.order_id,
          `${row.tries} tries`,
          row.last_error ?? '',
        ].join('  '),
      );
      say(lines.join('\n') || 'There are none.', { notices: found });
      return;
    }
    case 'retry': {
      if (names.length === 0 && !values.order && !values.all) {
        throw new Misuse('say which: ids, --order ID or --all');
      }
      const wrong = names.find((name) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name));
      if (wrong) throw new Misuse(`${wrong} is no id of a notice`);
      const which = { ids: names.length > 0 ? names : undefined, order_id: values.order };
      const retried = await withLedger(config, (db) => retryNotices(db, which));
      say(`${retried.length} will be tried again.`, { retried });
      if (retried.length === 0) process.exitCode = 1;
      return;
    }
    case 'invoice': {
      const id = values.order;
      if (!id) throw new Misuse('--order is needed');
      const order = (await withLedger(config, (db) => noticeOrders(db, [id]))).get(id);
      if (!order?.invoice)
        throw new Error(
          order ? 'this order has no invoice: it was never confirmed' : 'there is no such order',
        );
      const { attachments } = await createComposeOf(config).mail({
        ...{ notice: 'confirmed', order, detail: null, at: new Date(order.invoice.issued_at_ms) },
      });
      const [invoice] = attachments;
      if (!invoice) throw new Error('no invoice was made');
      const file = resolve(values.out ?? invoice.filename);
      writeFileSync(file, invoice.content);
      say(file, { file });
      return;
    }
    default:
      throw new Misuse(command ? `there is no command ${command}` : 'say what to do');
  }
}

function known(names: readonly string[]) {
  return names.map((name) => {
    const notice = NOTICES.find((one) => one === name);
    if (!notice) throw new Misuse(`there is no notice ${name}`);
    return notice;
  });
}

async function withLedger<T>(config: Config, work: (db: Pool) => Promise<T>): Promise<T> {
  const { database_url: url } = required(config, 'database_url');
  const db = createPool({ url, max: 1, application_name: 'stampede-notices', on_error: () => {} });
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}

/** In whatever shows pages here; that nothing does is no failure. */
function show(file: string): void {
  const command = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const child = spawn(command, [file], { stdio: 'ignore', detached: true });
  child.on('error', () => console.error(`${command} is not here; open ${file} yourself`));
  child.unref();
}

try {
  const args = readArguments(process.argv.slice(2));
  if (args.values.help) console.log(HELP);
  else await run(args);
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof Misuse) console.error(`\n${HELP}`);
  process.exitCode = error instanceof Misuse ? 2 : 1;
}
