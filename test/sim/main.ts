/** `npm run sim`: seeds, one after another or in several processes, and what they came to. */

import { installVirtualTime } from './core/virtual-time.ts';
import { simulate } from './simulate.ts';

installVirtualTime();
const from = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1);
const begun = process.hrtime.bigint();
let steps = 0;
let bad = 0;
const sums = { orders: 0, acks: 0, rebuilds: 0, virtual_s: 0, cpu: 0 };
process.on('unhandledRejection', (error) => {
  console.error('unhandled', error);
  process.exit(1);
});
for (let seed = from; seed < from + count; seed++) {
  const result = await simulate(seed, { trace: count === 1 });
  steps += result.steps;
  sums.orders += result.orders;
  sums.acks += result.acks;
  sums.rebuilds += result.rebuilds;
  sums.virtual_s += result.virtual_ms / 1000;
  if (count === 1) console.log(result.trace.join('\n'));
  if (!result.ok) {
    bad += 1;
    console.log(seed, result.violations.slice(0, 3));
  }
  if (count === 1)
    console.log(result.hash, result.steps, result.virtual_ms, result.orders, result.acks, result.rebuilds);
}
console.log({
  bad,
  ms_a_seed: Number(process.hrtime.bigint() - begun) / 1e6 / count,
  steps: steps / count,
  ...sums,
  cpu_ms: process.cpuUsage().user / 1000 / count,
});
process.exit(bad > 0 ? 1 : 0);
