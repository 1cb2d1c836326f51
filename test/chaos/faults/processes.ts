/** kill -9, stop and continue, restart: each process of the system. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Managed } from '../world/managed.ts';
import type { World } from '../world/world.ts';
import { between, type Fault } from './fault.ts';

type Victim = { target: string; of: (world: World) => Managed; signal?: 'SIGINT' | 'SIGTERM' };

function victims(engines: number, reconcilers: number): Victim[] {
  const many = (count: number, target: string, of: (world: World) => readonly Managed[]): Victim[] =>
    Array.from({ length: count }, (_, i) => ({
      target: `${target}-${i}`,
      of: (world) => of(world)[i] as Managed,
    }));
  return [
    ...many(engines, 'engine', ({ engines }) => engines),
    ...many(reconcilers, 'reconciler', ({ reconcilers }) => reconcilers),
    { target: 'redis', of: ({ redis }) => redis.primary().process },
    { target: 'postgres', of: ({ postgres }) => postgres, signal: 'SIGINT' },
    { target: 'sandbox', of: ({ sandbox }) => sandbox },
  ];
}

export function processFaults(engines: number, reconcilers: number): Fault[] {
  return victims(engines, reconcilers).flatMap(({ target, of, signal = 'SIGTERM' as const }): Fault[] => [
    {
      ...{ class: 'kill', name: `kill ${target}`, target },
      async strike({ world, random, sleep }) {
        const down_ms = between(random, 0, 2_500);
        await of(world).end('SIGKILL');
        await sleep(down_ms);
        await of(world).start();
        return { detail: `kill -9, down for ${down_ms} ms` };
      },
    },
    {
      ...{ class: 'restart', name: `restart ${target}`, target },
      async strike({ world }) {
        await of(world).end(signal);
        await of(world).start();
        return { detail: signal };
      },
    },
    {
      ...{ class: 'stop', name: `stop ${target}`, target },
      async strike({ world, random, sleep }) {
        const stopped_ms = between(random, 800, 7_000);
        const pids = processTree(of(world).pid());
        for (const pid of pids) signalIfThere(pid, 'SIGSTOP');
        await sleep(stopped_ms);
        for (const pid of pids) signalIfThere(pid, 'SIGCONT');
        return { detail: `stopped for ${stopped_ms} ms` };
      },
    },
  ]);
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** With its children: a postmaster's backends go on without it. */
function processTree(root: number): number[] {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && parentOf(pid) === root);
  return [root, ...children];
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1;
  }
}
