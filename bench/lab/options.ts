/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';

export const HELP = `Usage: npm run bench -- [SCENARIO ...] [options]
       npm run bench -- report

Compares in turn (A B A B ...), each pair between two runs of a raw echo; a pair during which the echo
drifted by more than 10% is discarded. After the runs the books are checked: a run with an imbalance
has no result. A stand measures figures of its own instead. Without a name all of them run. Each is written down
when it is done, in place of its last result; "report" makes the report with charts of all that is there.

  --list            the scenarios, and what each compares
  --pairs N         pairs of each comparison (5)
  --seconds N       length of one run (10)
  --connections N   connections of the client (256)
  --buyers N        distinct buyers (20000)
  --quick           1 pair of 2 s runs: does it work at all; says nothing about speed
  --out DIR         results are written there (bench/results)
  --json            the result as JSON on standard output, too
  --help

Exit code: 0 when everything was measured and the books were in order, 1 when not, 2 for a wrong option.
`;

export type Options = {
  scenarios: string[];
  pairs: number;
  seconds: number;
  connections: number;
  buyers: number;
  quick: boolean;
  out: string;
  json: boolean;
  /** Options of stands that were given. */
  sizes: Record<string, number>;
  report: boolean;
  list: boolean;
  help: boolean;
};

export class UsageError extends Error {}

const SIZE_MAX = 1_000_000_000;

/** `known`: names of scenarios and stands; `sizes`: the options of stands. */
export function parseOptions(
  args: readonly string[],
  known: readonly string[],
  sizes: readonly string[] = [],
): Options {
  const { values, positionals } = parsed(args, sizes);
  const report = positionals.length === 1 && positionals[0] === 'report';
  if (report) positionals.pop();
  const given: Record<string, number> = {};
  for (const name of sizes) {
    const text: unknown = Reflect.get(values, name);
    if (typeof text === 'string') given[name] = whole(name, text, 0, SIZE_MAX);
  }
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown) throw new UsageError(`There is no scenario "${unknown}". There are: ${known.join(', ')}`);
  const quick = values.quick ?? false;
  return {
    scenarios: positionals.length > 0 ? positionals : [...known],
    pairs: whole('pairs', values.pairs, quick ? 1 : 5, 50),
    seconds: whole('seconds', values.seconds, quick ? 2 : 10, 600),
    connections: whole('connections', values.connections, 256, 10_000),
    buyers: whole('buyers', values.buyers, quick ? 1_000 : 20_000, 1_000_000),
    quick,
    out: values.out ?? 'bench/results',
    json: values.json ?? false,
    sizes: given,
    report,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function parsed(args: readonly string[], sizes: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(sizes.map((name) => [name, text])),
        ...{ pairs: text, seconds: text, connections: text, buyers: text, out: text },
        ...{ quick: flag, json: flag, list: flag, help: { ...flag, short: 'h' } },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(name: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from 1 to ${most} (it is "${text}")`);
}
