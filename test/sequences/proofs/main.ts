/** `npm run proofs`: what is proved exhaustively about scripts, replies, kills and the AOF. */
import { parseArgs } from 'node:util';
import { cutAof } from './cut-aof.ts';
import { flushedScripts } from './flushed-scripts.ts';
import { kills } from './kills.ts';
import { lostReplies } from './lost-replies.ts';
import type { Proof, ProofOptions } from './own-redis.ts';
import { verbFuzz } from './verb-fuzz.ts';

const PROOFS: Record<string, { times: number; run: (options: ProofOptions) => Promise<Proof> }> = {
  'lost-replies': { times: 1_000, run: lostReplies },
  'flushed-scripts': { times: 100_000, run: flushedScripts },
  'verb-fuzz': { times: 100_000, run: verbFuzz },
  'cut-aof': { times: 50, run: (options) => cutAof({ ...options, every_byte: true }) },
  kills: { times: 1_000, run: kills },
};

const HELP = `Usage: npm run proofs -- [name ...] [options]

  lost-replies     the answer of a script is lost after it ran (1000 times)
  flushed-scripts  SCRIPT FLUSH every 100 ms under load (100000 requests)
  verb-fuzz        every verb with wrong arguments and keys (100000 calls)
  cut-aof          the AOF cut at every byte of its last transactions, each loaded by a Redis (50)
  kills            kill -9 of Redis under load (1000)

  --times N        instead of the number above
  --seed N         draws them (printed if it is not given)
  --help

All of them if none is named. Progress goes to stderr, the result to stdout as JSON. Exit code: 0 when all hold, 1 when
one does not, 2 for a wrong option.
`;

function whole(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d+$/.test(text)) throw new TypeError(`"${text}" is no number`);
  return Number(text);
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    options: { times: text, seed: text, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(PROOFS);
  const unknown = names.find((name) => !PROOFS[name]);
  if (unknown) throw new TypeError(`there is no proof called "${unknown}"`);
  const seed = whole(values.seed, Date.now() % 1_000_000_000);
  const results = [];
  for (const name of names) {
    const { times, run } = PROOFS[name];
    const begun = performance.now();
    const progress = (line: string) => console.error(`${name}: ${line}`);
    const proof = await run({ times: whole(values.times, times), seed, progress });
    const seconds = Math.round((performance.now() - begun) / 1000);
    results.push({ name, seed, seconds, ...proof.done, wrong: proof.wrong.slice(0, 200) });
  }
  console.log(JSON.stringify(results, undefined, 2));
  return results.every(({ wrong }) => wrong.length === 0) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError;
  console.error(usage ? error.message : error);
  process.exitCode = usage ? 2 : 1;
}
