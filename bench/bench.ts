/** `npm run bench`: see lab/options.ts. Scenarios lie in scenarios/, what they are made of in lab/. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEcho } from './lab/echo.ts';
import { describeMachine } from './lab/machine.ts';
import { HELP, type Options, parseOptions, UsageError } from './lab/options.ts';
import { comparePairs } from './lab/pairs.ts';
import { lineOf, type Result, resultOf } from './lab/result.ts';
import { startWorld, writeTokens } from './lab/world.ts';
import { SCENARIOS } from './scenarios/all.ts';
import { bodiesFile, run } from './scenarios/load.ts';
import type { Lab, Scenario } from './scenarios/scenario.ts';

const say = (line: string) => process.stderr.write(`${line}\n`);
const ECHO_SECONDS = 2;

async function main(options: Options): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
  const closing: (() => Promise<void>)[] = [];
  try {
    const world = await startWorld();
    closing.push(world.close);
    const echo = await startEcho();
    closing.push(echo.close);
    const { seconds, connections, buyers } = options;
    const tokens_file = writeTokens(world.stack, dir, buyers);
    const lab: Lab = { world, echo, seconds, connections, dir, tokens_file, buyers };
    const results: Result[] = [];
    for (const name of options.scenarios) {
      const scenario = SCENARIOS.find((one) => one.name === name);
      if (scenario) results.push(await compare(scenario, lab, options));
    }
    const report = { ...describeMachine(), measured_at: new Date().toISOString(), options, results };
    const json = JSON.stringify(report, undefined, 2);
    mkdirSync(options.out, { recursive: true });
    const file = join(options.out, options.quick ? 'quick.json' : 'latest.json');
    writeFileSync(file, `${json}\n`);
    say(`\nWritten to ${file}`);
    for (const result of results) console.log(lineOf(result));
    if (options.json) console.log(json);
    return results.every((result) => result.wrong.length === 0 && result.ratio !== undefined);
  } finally {
    for (const close of closing.reverse()) await close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function compare(scenario: Scenario, lab: Lab, options: Options): Promise<Result> {
  say(`\n${scenario.name}: ${scenario.what}`);
  const contest = await scenario.prepare(lab);
  // Compilers and caches first.
  await contest.a();
  await contest.b();
  const echo_bodies = bodiesFile(lab, 'echo');
  const compared = await comparePairs({
    pairs: options.pairs,
    echo: async () => (await run(lab, lab.echo.spot, echo_bodies, { seconds: ECHO_SECONDS })).requests_per_s,
    ...{ a: contest.a, b: contest.b, say },
    ...(options.quick ? { drift_max: 1 } : {}),
  });
  say('  checking the books');
  return resultOf(scenario, compared, await contest.audit());
}

try {
  const options = parseOptions(
    process.argv.slice(2),
    SCENARIOS.map(({ name }) => name),
  );
  if (options.help) console.log(HELP);
  else if (options.list) for (const { name, what } of SCENARIOS) console.log(`${name.padEnd(14)} ${what}`);
  else process.exitCode = (await main(options)) ? 0 : 1;
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? error.message : error);
  if (usage) console.error('npm run bench -- --help lists the options');
  process.exitCode = usage ? 2 : 1;
}
