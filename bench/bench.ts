/**
 * `npm run bench`: see lab/options.ts. Scenarios and stands lie in scenarios/, what they are made of in lab/, what becomes of
 * the results in report/.
 */
import { join } from 'node:path';
import { openLab } from './lab/laboratory.ts';
import { describeMachine } from './lab/machine.ts';
import { HELP, type Options, parseOptions, UsageError } from './lab/options.ts';
import { isSound, linesOf } from './report/lines.ts';
import { type Measured, writeResult } from './report/results-file.ts';
import { writeReport } from './report/write-report.ts';
import { SCENARIOS, STANDS } from './scenarios/all.ts';
import { compare } from './scenarios/compare.ts';

const say = (line: string) => process.stderr.write(`${line}\n`);
const KNOWN = [...SCENARIOS, ...STANDS];
const NAMES = KNOWN.map(({ name }) => name);

async function main(options: Options): Promise<boolean> {
  const file = join(options.out, options.quick ? 'quick.json' : 'latest.json');
  const done: Measured[] = [];
  let failed = 0;
  const lab = openLab(options);
  try {
    for (const name of options.report ? [] : options.scenarios) {
      say(`\n${name}: ${KNOWN.find((one) => one.name === name)?.what}`);
      try {
        const measured = await measure(name, options, lab.get);
        done.push(measured);
        writeResult(file, measured);
        console.log(linesOf(measured));
      } catch (error) {
        failed += 1;
        console.error(`${name}: no result:`, error);
      }
    }
  } finally {
    await lab.close();
  }
  say(`\n${(await writeReport(file, NAMES)).join('\n')}`);
  if (options.json) console.log(JSON.stringify({ measured: done }, undefined, 2));
  return failed === 0 && done.every(isSound);
}

async function measure(
  name: string,
  options: Options,
  lab: ReturnType<typeof openLab>['get'],
): Promise<Measured> {
  const { pairs, seconds, connections, buyers, quick } = options;
  const head = { name, machine: describeMachine() };
  const date = () => ({ measured_at: new Date().toISOString() });
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario) {
    const result = await compare(scenario, await lab(), { pairs, quick, say });
    const settings = { pairs, seconds, connections, buyers, quick };
    return { ...head, ...date(), what: scenario.what, settings, kind: 'scenario', result };
  }
  const stand = STANDS.find((one) => one.name === name);
  if (!stand) throw new Error(`there is nothing named ${name}`);
  const sizes = Object.fromEntries(
    Object.entries(stand.sizes).map(([size, { standard, quick: small }]) => [
      size,
      options.sizes[size] ?? (quick ? small : standard),
    ]),
  );
  const result = await stand.measure({ sizes, pairs, seconds, connections, quick, say });
  const settings = { ...sizes, pairs, seconds, connections, quick };
  return { ...head, ...date(), what: stand.what, settings, kind: 'stand', result };
}

function list(): void {
  for (const { name, what } of KNOWN) console.log(`${name.padEnd(20)} ${what}`);
  for (const { name, sizes } of STANDS)
    for (const [size, { what, standard, quick }] of Object.entries(sizes))
      console.log(`${name}: ${`--${size} N`.padEnd(20)} ${what} (${standard}; quick ${quick})`);
}

try {
  const options = parseOptions(
    process.argv.slice(2),
    NAMES,
    STANDS.flatMap(({ sizes }) => Object.keys(sizes)),
  );
  if (options.help) console.log(HELP);
  else if (options.list) list();
  else process.exitCode = (await main(options)) ? 0 : 1;
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? error.message : error);
  if (usage) console.error('npm run bench -- --help lists the options');
  process.exitCode = usage ? 2 : 1;
}
