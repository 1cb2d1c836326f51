/** Disks that are slow or full, and clocks that are off. */
import { between, type Fault } from './fault.ts';

const CLOCKS_OFF_S_MAX = 300;

export function machineFaults(engines: number, reconcilers: number): Fault[] {
  const numbered = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}-${i}`);
  const stores = ['redis', 'postgres'];
  const clocks = [...stores, ...numbered(engines, 'engine'), ...numbered(reconcilers, 'reconciler')];
  return [
    ...stores.flatMap((target): Fault[] => [
      {
        ...{
          class: 'slow_disk',
          name: `slow disk of ${target}`,
          target: `disk of ${target}`,
          troubles: true,
        },
        async strike({ world, random, sleep }) {
          const who = target === 'redis' ? world.redis.primary().who : target;
          const [each_ms, lasts_ms] = [between(random, 30, 1_200), between(random, 2_000, 6_000)];
          world.trouble.set(who, { slow_us: each_ms * 1_000 });
          await sleep(lasts_ms);
          world.trouble.set(who, {});
          return { detail: `each sync ${each_ms} ms later, for ${lasts_ms} ms` };
        },
      },
      {
        ...{ class: 'full_disk', name: `full disk of ${target}`, target, troubles: true },
        async strike({ world, random, sleep }) {
          const part = target === 'redis' ? world.redis.primary().process : world.postgres;
          const who = target === 'redis' ? world.redis.primary().who : target;
          const lasts_ms = between(random, 500, 3_000);
          const before = part.surprises.length;
          world.trouble.set(who, { full: true });
          await sleep(lasts_ms);
          world.trouble.set(who, {});
          await part.start();
          await sleep(300);
          // Both end themselves rather than go on without their log.
          const ended = part.surprises.splice(before).length;
          return { detail: `every write refused for ${lasts_ms} ms, ended itself ${ended} times` };
        },
      },
    ]),
    ...clocks.map(
      (target): Fault => ({
        ...{ class: 'clock', name: `clock of ${target}`, target: `clock of ${target}`, troubles: true },
        async strike({ world, random, sleep }) {
          const who = target === 'redis' ? world.redis.primary().who : target;
          const off_s = between(random, -CLOCKS_OFF_S_MAX, CLOCKS_OFF_S_MAX);
          const lasts_ms = between(random, 1_000, 6_000);
          world.trouble.set(who, { clock_ms: off_s * 1_000 });
          await sleep(lasts_ms);
          world.trouble.set(who, {});
          return { detail: `${off_s} s off for ${lasts_ms} ms` };
        },
      }),
    ),
  ];
}
