/** What was found out, kept beside the bugs, and the table made of it. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUGS, type Bug } from './bugs.ts';
import { type Answer, LAYERS, type Verdict } from './layers.ts';
import { PROJECT } from './tree.ts';

const FILE = join(PROJECT, 'test/planted/results.json');
const PAGE = join(PROJECT, 'docs/planted-bugs.md');
const BEGIN = '<!-- table: npm run planted -->';
const END = '<!-- end of table -->';

/** By bug, by layer. `bug`: hash of the replacement, so that a changed one is run again. */
export type Results = Record<
  string,
  { bug: string; layers: Record<string, Verdict>; by?: Record<string, string> }
>;

export function readResults(): Results {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
}

export function hashOf({ file, find, replace }: Bug): string {
  return createHash('sha256').update(`${file}\n${find}\n${replace}`).digest('hex').slice(0, 12);
}

/** Two runs may write at the same time, each about other layers: what is there is read again. */
export function note(bug: Bug, layer: string, { verdict, by }: Pick<Answer, 'verdict' | 'by'>): void {
  const results = readResults();
  const hash = hashOf(bug);
  if (results[bug.id]?.bug !== hash) results[bug.id] = { bug: hash, layers: {} };
  results[bug.id].layers[layer] = verdict;
  if (by) results[bug.id].by = { ...results[bug.id].by, [layer]: by };
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`);
}

const MARK: Record<Verdict, string> = { caught: '**caught**', 'not caught': 'no', 'no answer': '?' };

export function table(results: Results): string {
  const head = ['bug', 'hazard', 'without it', ...LAYERS.map(({ id }) => id)];
  const lines = BUGS.map((bug) => {
    const found = results[bug.id]?.layers ?? {};
    const cells = LAYERS.map(({ id }) => (found[id] ? MARK[found[id]] : ''));
    return `| ${[`\`${bug.id}\``, bug.hazard, bug.says, ...cells].join(' | ')} |`;
  });
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---|').join('')}`, ...lines].join('\n');
}

/** Puts the table into its place on the page. */
export function writePage(results: Results): void {
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest.split(END)[1];
  writeFileSync(PAGE, `${before}${BEGIN}\n${table(results)}\n${END}${after}`);
}
