/** npx stampede verify FILE [--database URL]: is a certificate true? */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs, styleText } from 'node:util';
import { verifyFile } from './file.ts';
import { CHECKS, type Check, createFindings, type Findings } from './findings.ts';
import { verifyLedger } from './ledger.ts';

const HELP = `Usage: npx stampede verify FILE [options]

Reads a certificate of a sale, plain or gzip, and checks it from the file alone: the chain over its events, every order's
way, stock, limits, gate, money and totals, lived through again by code that shares nothing with the code that made it.

  --database URL     holds it against the ledger as well, event by event, and the ledger's books against each other
  --public-key KEY   the key that must have signed it: a PEM file, or base64 of its DER
  --final            an interim certificate fails
  --json             for programs
  --help

Exit code: 0 it is true, 1 something is wrong, 2 it could not be checked (arguments, file or ledger).
`;

class Misuse extends Error {}

type Values = ReturnType<typeof readArguments>['values'];

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        database: { type: 'string' },
        'public-key': { type: 'string' },
        final: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new Misuse((error as Error).message);
  }
}

/** Base64 of the key's DER. */
function publicKey(given: string): string {
  try {
    const base64 = /^[A-Za-z0-9+/]+=*$/.test(given) && given.length > 40;
    const key = base64
      ? createPublicKey({ key: Buffer.from(given, 'base64'), format: 'der', type: 'spki' })
      : createPublicKey(readFileSync(given));
    return key.export({ type: 'spki', format: 'der' }).toString('base64');
  } catch (error) {
    throw new Misuse(`--public-key cannot be read: ${(error as Error).message}`);
  }
}

async function run(file: string, values: Values): Promise<number> {
  const findings = createFindings();
  const public_key = values['public-key'] === undefined ? undefined : publicKey(values['public-key']);
  const progress = process.stderr.isTTY
    ? (lines: number) => process.stderr.write(`\r${lines.toLocaleString('en')} lines`)
    : undefined;
  const result = await verifyFile(file, findings, { public_key, onLine: progress });
  if (progress) process.stderr.write('\r\x1b[K');
  const { claim } = result;
  if (values.final && claim?.interim)
    findings.add('final', `the certificate is interim: ${claim.missing.join(', ')}`);
  const done: Check[] = Object.keys(CHECKS).filter((c) => c !== 'ledger' && c !== 'signature') as Check[];
  if (result.signed_by || public_key) done.push('signature');
  let events_since: number | undefined;
  if (values.database !== undefined && claim) {
    done.push('ledger');
    events_since = await withLedger(values.database, (client) =>
      verifyLedger(client, file, claim, findings),
    ).then((ledger) => ledger.events_since);
  }
  const told = { file, ...result, claim: undefined, certificate: claim && aboutClaim(claim), events_since };
  if (values.json)
    console.log(JSON.stringify({ ok: findings.counts.size === 0, ...told, ...counted(findings) }, null, 2));
  else say(told, done, findings, Boolean(public_key));
  return findings.counts.size === 0 ? 0 : 1;
}

function aboutClaim(claim: {
  tenant: string;
  sale: string;
  made_at: string;
  interim: boolean;
  missing: string[];
}) {
  const { tenant, sale, made_at, interim, missing } = claim;
  return { tenant, sale, made_at, interim, missing };
}

const counted = (findings: Findings) => ({
  violations: Object.fromEntries(findings.counts),
  findings: findings.kept,
});

type Told = {
  file: string;
  orders: number;
  events: number;
  signed_by: string | null;
  certificate?: ReturnType<typeof aboutClaim>;
  events_since?: number;
};

function say(told: Told, done: readonly Check[], findings: Findings, trusted: boolean): void {
  const color = process.stdout.isTTY && !process.env.NO_COLOR;
  const paint = (style: 'green' | 'red', text: string) => (color ? styleText(style, text) : text);
  const { certificate } = told;
  if (certificate) {
    console.log(`Sale ${certificate.sale} of tenant ${certificate.tenant}, as of ${certificate.made_at}`);
    console.log(`${told.orders.toLocaleString('en')} orders, ${told.events.toLocaleString('en')} events`);
    if (certificate.interim) console.log(`Interim, missing: ${certificate.missing.join(', ')}`);
  }
  console.log('');
  for (const check of new Set([...done, ...findings.counts.keys()])) {
    const count = findings.counts.get(check) ?? 0;
    console.log(
      `${count ? paint('red', 'WRONG') : paint('green', 'ok   ')}  ${check.padEnd(12)}  ${CHECKS[check]}`,
    );
    const kept = findings.kept.filter((finding) => finding.check === check);
    for (const { message, line } of kept) console.log(`         ${line ? `line ${line}: ` : ''}${message}`);
    if (count > kept.length) console.log(`         and ${count - kept.length} more`);
  }
  console.log('');
  if (!told.signed_by) console.log('Not signed: it says what its file says, and nobody vouches for it.');
  else if (!trusted)
    console.log(
      `Signed by ${told.signed_by}. Whose key that is you have to know; give it with --public-key.`,
    );
  if (told.events_since !== undefined && told.events_since > 0)
    console.log(`${told.events_since} events have come since.`);
  const wrong = findings.counts.size > 0;
  console.log(
    wrong ? paint('red', 'The certificate is NOT true.') : paint('green', 'The certificate is true.'),
  );
}

async function withLedger<T>(url: string, work: (client: import('pg').Client) => Promise<T>): Promise<T> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    connectionString: url,
    application_name: 'stampede-verify',
    connectionTimeoutMillis: 10_000,
    options: '-c default_transaction_read_only=on -c jit=off',
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

try {
  const { values, positionals } = readArguments();
  if (values.help) console.log(HELP);
  else if (positionals.length !== 1) throw new Misuse('say which file');
  else process.exitCode = await run(positionals[0], values);
} catch (error) {
  console.error((error as Error).message || String((error as { code?: unknown }).code));
  if (error instanceof Misuse) console.error(`\n${HELP}`);
  process.exitCode = 2;
}
