/** What the terminal shows when the local stack is ready. */
import { DEMO_SKU } from './demo-sale.ts';
import type { StackFacts } from './stack.ts';

export type BannerFacts = StackFacts & {
  data_dir: string;
  ready_seconds: number;
  /** Absent where tokens come from a JWKS: then nobody here can sign one. */
  buyer_token?: string;
  /** To show: only when it was made just now. */
  new_jwt_secret?: string;
  color: boolean;
};

export function banner(facts: BannerFacts): string {
  const bold = (text: string) => (facts.color ? `\u001b[1m${text}\u001b[22m` : text);
  const rows: [string, string][] = [
    ['Store', bold(`${facts.url}/`)],
    ['API docs', `${facts.url}/docs`],
    ['Metrics', `${facts.url}/metrics and ${facts.reconciler_url}/metrics`],
    ['Data', `${facts.data_dir} (logs in ${facts.data_dir}/logs)`],
    ['Redis', facts.redis],
    ['', facts.durability.promise],
    ['Postgres', facts.postgres],
    ['Sandbox PSP', facts.sandbox_url],
    ['Mail', facts.mail],
  ];
  if (facts.new_jwt_secret)
    rows.push(['JWT secret', `${facts.new_jwt_secret} (random; kept in the data folder)`]);
  const lines = [
    '',
    `${bold('Stampede is running')} (ready in ${facts.ready_seconds.toFixed(1)} s)`,
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`),
    '',
    ...(facts.buyer_token
      ? ['  Buy something:', '', curlLine(facts.url, facts.demo.id, facts.buyer_token), '']
      : []),
    '  Ctrl-C ends it. The next start continues with the same data.',
    '',
  ];
  return lines.join('\n');
}

/** Each paste is a new purchase: the key holds the second it was made in. */
function curlLine(url: string, sale_id: string, token: string): string {
  const body = {
    sale_id,
    items: [{ sku: DEMO_SKU, qty: 1 }],
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      name: 'Ada Lovelace',
      line1: '12 St James Square',
      city: 'London',
      postal_code: 'SW1Y 4JH',
      country: 'GB',
    },
  };
  return [
    `curl -sS ${url}/v1/checkout \\`,
    `  -H 'Authorization: Bearer ${token}' \\`,
    `  -H "Idempotency-Key: demo-purchase-$(date +%s)" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '${JSON.stringify(body)}'`,
  ].join('\n');
}
