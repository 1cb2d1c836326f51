/**
 * `npm run model`: goes through every state of the model with Spin, and shows that each mitigation is needed.
 * Exit code 1 if something that must hold does not, or something that must be refuted is not.
 */
import { parseArgs } from 'node:util';
import { explore, modelTools } from './spin.ts';
import { HOLDS, REFUTED } from './suite.ts';

const HELP = `npm run model -- [--all] [--only ID] [--trail]

  --all      the bigger settings as well: minutes, and up to 4 GB of memory
  --only ID  one setting: ${[...HOLDS, ...REFUTED].map(({ id }) => id).join(', ')}
  --trail    how it comes to the violation, for each that is refuted

Prints a table in markdown. See docs/model.md.`;

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    trail: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else {
  process.exitCode = (await run()) ? 0 : 1;
}

async function run(): Promise<boolean> {
  const tools = await modelTools((line) => console.error(line));
  const chosen = <T extends { id: string }>(all: readonly T[], by_default: (one: T) => boolean) =>
    all.filter((one) => (values.only ? one.id === values.only : by_default(one)));
  let right = true;
  console.log('| setting | states | transitions | depth | s | |\n|---|---|---|---|---|---|');
  for (const { id, says, define } of chosen(HOLDS, ({ ci }) => ci || values.all)) {
    const { violation, states, transitions, depth, seconds } = await explore(tools, define, 'briefly');
    const row = [id, states, transitions, depth, seconds.toFixed(1), violation ? 'VIOLATED' : says];
    console.log(`| ${row.join(' | ')} |`);
    if (violation) console.log(`\n${[...violation.trail, violation.assertion].join('\n')}\n`);
    right &&= !violation;
  }
  console.log('\n| mitigation taken out | refuted after states | trail, steps | |\n|---|---|---|---|');
  for (const { id, says, define } of chosen(REFUTED, () => true)) {
    const { violation, states } = await explore(tools, define);
    console.log(`| ${[id, states, violation?.trail.length ?? 'NOT REFUTED', says].join(' | ')} |`);
    if (violation && values.trail) console.log(`\n${[...violation.trail, violation.assertion].join('\n')}\n`);
    right &&= violation !== undefined;
  }
  return right;
}
