/** The command line of `npm run stampede`. */
import { parseArgs } from 'node:util';

export const HELP = `Usage: npm run stampede -- [options]

Many distinct buyers fight for few units of a sale created for it. Then every winner sends the same
request again, all winners are awaited until confirmed, and the books are audited.

Runs against the stack that runs on DATA_DIR; without one it starts one of its own and removes it after.

  --buyers N        distinct buyers, one purchase each (10000)
  --units N         units of each SKU (100)
  --skus N          SKUs, each order takes one of each (1)
  --connections N   connections (300)
  --url URL         another engine; needs its JWT_SECRET in the environment
  --confirm-seconds N   how long winners may take to be confirmed (60)
  --json            the summary as JSON on standard output
  --help

Exit code: 0 when every invariant held, 1 when one broke, 2 for a wrong option.
`;

export type Options = {
  buyers: number;
  units: number;
  skus: number;
  connections: number;
  confirm_seconds: number;
  url?: string;
  json: boolean;
  help: boolean;
};

export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const values = parsed(args);
  const url = values.url;
  if (url !== undefined && !/^https?:\/\/[^/]+\/?$/.test(url)) {
    throw new UsageError(
      `--url must be the root of an engine, such as http://localhost:3000 (it is "${url}")`,
    );
  }
  const buyers = whole(values, 'buyers', 10_000, 1_000_000);
  return {
    buyers,
    units: whole(values, 'units', 100, 1_000_000),
    skus: whole(values, 'skus', 1, 20),
    connections: Math.min(buyers, whole(values, 'connections', 300, 10_000)),
    confirm_seconds: whole(values, 'confirm-seconds', 60, 3_600),
    url: url?.replace(/\/$/, ''),
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

type Values = { [name: string]: string | boolean | undefined; url?: string; json?: boolean; help?: boolean };

function parsed(args: readonly string[]): Values {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    ...{ buyers: text, units: text, skus: text, connections: text, url: text, 'confirm-seconds': text },
    ...{ json: flag, help: { ...flag, short: 'h' } },
  };
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(values: Values, name: string, fallback: number, max: number): number {
  const text = values[name];
  if (text === undefined) return fallback;
  const value = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max)
    throw new UsageError(`--${name} must be a number from 1 to ${max} (it is "${text}")`);
  return value;
}
