/** `npm run stampede`: thousands of buyers for a hundred units, and the proof that it went well. */
import { randomBytes } from 'node:crypto';
import { connectApi } from './stampede/api.ts';
import { HELP, type Options, parseOptions, UsageError } from './stampede/options.ts';
import { type Progress, progressOn } from './stampede/progress.ts';
import { type Outcome, rush } from './stampede/rush.ts';
import { brokenInvariants, percentile, type Summary, summaryText } from './stampede/summary.ts';
import { findTarget, type Target } from './stampede/target.ts';
import { awaitConfirmed, countBy, countReplays, isBalanced, winnersOf } from './stampede/verify.ts';

const NOTHING_LEFT = ['sold_out', 'temporarily_held'];

async function run(options: Options, target: Target, progress: Progress): Promise<Summary> {
  const name = randomBytes(4).toString('hex');
  const sale_id = `stampede-${name}`;
  const api = connectApi(target.url, target.jwt_secret);
  const admin = api.token('stampede', 'admin');
  const items = Array.from({ length: options.skus }, (_, i) => ({ sku: `sku-${i + 1}`, qty: 1 }));
  const created = await api.call('POST', '/v1/admin/sales', {
    token: admin,
    body: {
      ...{ id: sale_id, currency: 'USD', hold_seconds: 600, limit_per_buyer: options.skus },
      items: items.map(({ sku }) => ({
        sku,
        name: `Stampede ${sku}`,
        unit_price: 1_990,
        qty: options.units,
      })),
    },
  });
  if (created.status === 401)
    throw new Error(`${target.url} refuses our token: set JWT_SECRET to its secret`);
  if (created.status !== 201) {
    throw new Error(`The sale was refused: ${created.status} ${JSON.stringify(created.body)}`);
  }

  const body = {
    sale_id,
    items,
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      name: 'Buyer',
      line1: '1 Main St',
      city: 'Springfield',
      postal_code: '12345',
      country: 'US',
    },
  };
  progress.say(`Signing ${options.buyers.toLocaleString('en')} buyers in`);
  const buyers = Array.from({ length: options.buyers }, (_, i) => ({
    token: api.token(`buyer-${name}-${i}`, 'buyer'),
    key: `stampede-${name}-${i}`,
  }));
  let answered = 0;
  let accepted = 0;
  const { outcomes, latencies_ms, seconds, resent } = await rush({
    url: target.url,
    sale_path: `/v1/sales/${sale_id}`,
    body: JSON.stringify(body),
    buyers,
    connections: options.connections,
    on_outcome(outcome) {
      answered += 1;
      if (outcome.kind === 'accepted') accepted += 1;
      progress.show(`${answered} of ${options.buyers} answered, ${accepted} accepted`);
    },
  });

  const winners = winnersOf(buyers, outcomes);
  progress.say(`${winners.length} winners ask again`);
  const replayed = await countReplays(api, winners, body);
  const states = await awaitConfirmed(api, winners, options.confirm_seconds, (confirmed) =>
    progress.show(`${confirmed} of ${winners.length} confirmed`),
  );
  const balanced = await isBalanced(api, admin, sale_id);
  progress.clear();

  const refused = countBy(
    outcomes.filter(isKind('refused')).map(({ status, code }) => code || `status_${status}`),
  );
  const { confirmed = 0, ...not_confirmed } = states;
  const summary = {
    ...{ target: target.text, sale_id },
    ...{ buyers: options.buyers, units: options.units, skus: options.skus, connections: options.connections },
    accepted: winners.length,
    sold_out: NOTHING_LEFT.reduce((sum, code) => sum + (refused[code] ?? 0), 0),
    other: Object.fromEntries(Object.entries(refused).filter(([code]) => !NOTHING_LEFT.includes(code))),
    unanswered: outcomes.filter(isKind('unanswered')).length,
    ...{ resent, replayed, confirmed, not_confirmed },
    oversold: Math.max(0, winners.length - options.units),
    balanced,
    latency_ms_p50: percentile(latencies_ms, 0.5),
    latency_ms_p99: percentile(latencies_ms, 0.99),
    answers_per_second: latencies_ms.length / seconds,
  };
  return { ...summary, broken: brokenInvariants(summary) };
}

function isKind<K extends Outcome['kind']>(kind: K) {
  return (outcome: Outcome): outcome is Extract<Outcome, { kind: K }> => outcome.kind === kind;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const progress = progressOn(process.stderr);
  const { DATA_DIR, JWT_SECRET, NO_COLOR } = process.env;
  const env = { data_dir: DATA_DIR || '.data', jwt_secret: JWT_SECRET || undefined };
  const target = await findTarget(options.url, env, progress.say);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void target.close().then(() => process.exit(130)));
  }
  try {
    const summary = await run(options, target, progress);
    const color = process.stdout.isTTY === true && !NO_COLOR;
    console.log(options.json ? JSON.stringify(summary, undefined, 2) : summaryText(summary, color));
    return summary.broken.length === 0 ? 0 : 1;
  } finally {
    await target.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(error instanceof Error ? error.message : error);
  if (usage) console.error('npm run stampede -- --help lists the options');
  process.exitCode = usage ? 2 : 1;
}
