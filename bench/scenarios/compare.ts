/** One scenario measured: both sides warmed up, compared in pairs, and the books checked. */
import { comparePairs } from '../lab/pairs.ts';
import { type Result, resultOf } from '../lab/result.ts';
import { bodiesFile, run } from './load.ts';
import type { Lab, Scenario } from './scenario.ts';

const ECHO_SECONDS = 2;

export async function compare(
  scenario: Scenario,
  lab: Lab,
  { pairs, quick, say }: { pairs: number; quick: boolean; say: (line: string) => void },
): Promise<Result> {
  const contest = await scenario.prepare(lab);
  // Compilers and caches first.
  await contest.a();
  await contest.b();
  const echo_bodies = bodiesFile(lab, 'echo');
  const compared = await comparePairs({
    pairs,
    echo: async () => (await run(lab, lab.echo.spot, echo_bodies, { seconds: ECHO_SECONDS })).requests_per_s,
    ...{ a: contest.a, b: contest.b, say, metric: scenario.metric },
    ...(quick ? { drift_max: 1 } : {}),
  });
  const figures = await contest.figures?.(compared.pairs);
  say('  checking the books');
  return resultOf(scenario, compared, { wrong: await contest.audit(), figures });
}
