/**
 * `npm run planted`: is every checker able to see what it is there for? Plants bugs one at a time in a copy of the tree and runs the
 * layers against each. What was found out already is not run again. Exit code 1 if a bug is caught by no layer.
 */
import { parseArgs } from 'node:util';
import { BUGS, type Bug } from './bugs.ts';
import { LAYERS, runLayer } from './layers.ts';
import { hashOf, note, readResults, table, writePage } from './results.ts';
import { copyTree } from './tree.ts';

const HELP = `npm run planted -- [--only ID]... [--layer ID]... [--again] [--list]

  --only ID    these bugs only
  --layer ID   these layers only: ${LAYERS.map(({ id }) => id).join(', ')}
  --no-control don't look first whether a layer is quiet without any bug
  --again      also what has been found out already
  --list       the table as it stands, nothing is run

Bugs: ${BUGS.map(({ id }) => id).join(', ')}

The result goes to test/planted/results.json and into docs/planted-bugs.md. See there.`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    layer: { type: 'string', multiple: true },
    again: { type: 'boolean', default: false },
    'no-control': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(HELP);
else if (values.list) console.log(table(readResults()));
else process.exitCode = (await run()) ? 0 : 1;

function isKnown(bug: Bug, layer: string): boolean {
  const result = readResults()[bug.id];
  const verdict = result?.bug === hashOf(bug) ? result.layers[layer] : undefined;
  return verdict !== undefined && verdict !== 'no answer';
}

async function run(): Promise<boolean> {
  const bugs = BUGS.filter(({ id }) => !values.only || values.only.includes(id));
  const layers = LAYERS.filter(({ id }) => !values.layer || values.layer.includes(id));
  if (bugs.length === 0 || layers.length === 0) throw new Error('no such bug, or no such layer: see --help');
  const tree = copyTree();
  try {
    for (const layer of layers) {
      const open = bugs.filter((bug) => values.again || !isKnown(bug, layer.id));
      if (open.length === 0) continue;
      // Whoever cries without a bug as well has caught nothing.
      const control = values['no-control'] ? undefined : layer.control(open);
      const clean = control && (await runLayer(layer, control, tree.folder));
      if (clean && clean.verdict !== 'not caught') {
        throw new Error(`layer ${layer.id} is not quiet without any bug:\n${clean.said.slice(-4_000)}`);
      }
      for (const bug of open) {
        const change = layer.change ? layer.change(bug) : bug;
        if (!change) continue;
        const unplant = tree.plant(bug.id, change);
        try {
          const answer = await runLayer(layer, bug, tree.folder);
          if (!answer) continue;
          const { verdict, seconds, said } = answer;
          console.error(`${layer.id}  ${bug.id}: ${verdict} (${seconds} s)`);
          if (verdict === 'no answer') console.error(said.slice(-2_000));
          note(bug, layer.id, answer);
        } finally {
          unplant();
        }
      }
    }
  } finally {
    tree.remove();
  }
  const found = readResults();
  writePage(found);
  const missed = bugs.filter(({ id }) => !Object.values(found[id]?.layers ?? {}).includes('caught'));
  for (const { id } of missed) console.error(`${id}: caught by no layer`);
  console.log(table(found));
  return missed.length === 0;
}
