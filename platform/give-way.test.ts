import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { projectFolder } from './local/project.ts';

const script = `
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { giveWay } from './platform/give-way.ts';
const alive = setInterval(() => {}, 1_000);
await giveWay(Number(process.argv.at(-1)));
clearInterval(alive);
let session = null;
try { session = Number(/nice (-?\\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))[1]); } catch {}
console.log(JSON.stringify({ priority: getPriority(), session }));
`;

const after = (nice: number): { priority: number; session: number | null } => {
  const args = ['--import', 'tsx', '--input-type=module', '-e', script, '--', String(nice)];
  // A session of its own, as the stack's processes have.
  const setsid = existsSync('/usr/bin/setsid')
    ? ['/usr/bin/setsid', ['--wait', process.execPath, ...args]]
    : undefined;
  const [command, all] = (setsid ?? [process.execPath, args]) as [string, string[]];
  const { stdout, stderr } = spawnSync(command, all, { cwd: projectFolder(), encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
};

test('a nice process is nice, and so is its session where the system has such', () => {
  const { priority, session } = after(7);
  expect(priority).toBe(7);
  if (session !== null) expect(session).toBe(7);
});

test('0 leaves everything as it is', () => {
  const own = after(0);
  expect(own.priority).toBeLessThan(7);
});
