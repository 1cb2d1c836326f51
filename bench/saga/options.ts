/** The command line of `npm run bench:saga`. */
import { parseArgs } from 'node:util';

export const HELP = `Usage: npm run bench:saga -- [options]

How many orders a second the saga pays (authorize, confirm, capture) at a sandbox that answers at once, against one
pg-boss job an order, on this machine in the same run: own Postgres (fsync on), sandbox PSP and workers as processes,
runs interleaved A B A B. After every run the books and the sandbox's own record are checked; a run that is not right
has no result.

  --orders N            orders of one run of the saga (20000)
  --baseline-orders N   orders of one run of the baseline (orders / 10)
  --pairs N             runs of each (3)
  --skus N              SKUs that the orders are of, in turn (100); with 1 the baseline waits at one row of stock
  --only saga|baseline  one of them, without the other
  --cpu-prof DIR        CPU profiles of the workers and the sandbox
  --json                the result as JSON on standard output
  --help

Exit code: 0 when every run was right, 1 when one was not, 2 for a wrong option.
`;

export type Options = {
  orders: number;
  baseline_orders: number;
  pairs: number;
  skus: number;
  only?: 'saga' | 'baseline';
  cpu_prof?: string;
  json: boolean;
  help: boolean;
};

export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const values = parsed(args);
  const { only } = values;
  if (only !== undefined && only !== 'saga' && only !== 'baseline')
    throw new UsageError(`--only must be saga or baseline (it is "${only}")`);
  const orders = whole('orders', values.orders, 20_000);
  return {
    orders,
    baseline_orders: whole(
      'baseline-orders',
      values['baseline-orders'],
      Math.max(1, Math.round(orders / 10)),
    ),
    pairs: whole('pairs', values.pairs, 3),
    skus: whole('skus', values.skus, 100),
    ...(only ? { only } : {}),
    ...(values['cpu-prof'] ? { cpu_prof: values['cpu-prof'] } : {}),
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    ...{ orders: text, 'baseline-orders': text, pairs: text, skus: text, only: text, 'cpu-prof': text },
    ...{ json: flag, help: { ...flag, short: 'h' } as const },
  };
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 1_000_000)
    throw new UsageError(`--${name} must be a number from 1 to 1000000 (it is "${text}")`);
  return value;
}
