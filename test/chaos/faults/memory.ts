/** Redis without the memory it had: what it has then is older than what it said. And its scripts, which it may forget. */
import { local } from '../world/links.ts';
import { REPLICA_LINK } from '../world/redis-pair.ts';
import type { World } from '../world/world.ts';
import { between, type Fault } from './fault.ts';

export function memoryFaults(): Fault[] {
  return [...twice(scriptFlush), ...twice(flushAll), ...twice(tornAof), ...twice(oldAof), ...twice(failover)];
}

/** They come twice in a round. */
const twice = (fault: Fault): Fault[] => [fault, { ...fault, name: `${fault.name} (2)` }];

const scriptFlush: Fault = {
  ...{ class: 'script_flush', name: 'SCRIPT FLUSH', target: 'redis' },
  async strike({ world, random, sleep }) {
    const times = between(random, 1, 10);
    for (let no = 0; no < times; no++) {
      await world.redis.command((redis) => redis.script('FLUSH'));
      await sleep(100);
    }
    return { detail: `${times} times, 100 ms apart` };
  },
};

const flushAll: Fault = {
  ...{ class: 'flushall', name: 'FLUSHALL', target: 'redis' },
  async strike({ world, now_ms }) {
    const from = now_ms();
    await world.redis.command((redis) => redis.flushall());
    return { detail: 'FLUSHALL', loss: { from, until: now_ms() } };
  },
};

const tornAof: Fault = {
  ...{ class: 'torn_aof', name: 'torn AOF', target: 'redis' },
  async strike({ world, random, now_ms }) {
    const { redis } = world;
    const from = now_ms();
    await redis.primary().process.end('SIGKILL');
    // Half of a command that nobody was answered; or the end is gone, with commands that somebody was.
    const torn = random() < 0.5;
    const cut = redis.tearAof(torn ? 'torn' : { cut: between(random, 1, 20_000) });
    const until = now_ms();
    await redis.primary().process.start();
    if (torn) return { detail: 'kill -9, half a command at the end' };
    return { detail: `kill -9, ${cut} bytes cut off`, loss: { from, until } };
  },
};

const oldAof: Fault = {
  ...{ class: 'old_aof', name: 'old AOF', target: 'redis' },
  async strike({ world, random, sleep, now_ms }) {
    const { redis } = world;
    const age_ms = between(random, 500, 5_000);
    const copy = redis.copyAof();
    await sleep(age_ms);
    const from = now_ms();
    await redis.primary().process.end('SIGKILL');
    copy.restore();
    const until = now_ms();
    await redis.primary().process.start();
    return { detail: `kill -9, started with an AOF ${age_ms} ms old`, loss: { from, until } };
  },
};

const failover: Fault = {
  ...{ class: 'failover', name: 'failover', target: 'redis' },
  async strike({ world, random, sleep, now_ms }) {
    const { redis, links } = world;
    const synced = await redis.synced(10_000);
    const behind_ms = between(random, 0, 3_000);
    // Some go to the new primary while others are still at the old one, which takes what they send.
    const split_ms = random() < 0.5 ? between(random, 200, 2_000) : 0;
    const heal = await links.trouble(REPLICA_LINK, { kind: 'cut', direction: 'down' });
    const clients = clientsOf(world);
    const first = random() < 0.5 ? clients.slice(0, 1) : clients.slice(1);
    const from = await sleep(behind_ms).then(now_ms);
    let until = from;
    try {
      const old = await redis.promote();
      await moveTo(world, first);
      await sleep(split_ms);
      await old.process.end('SIGKILL');
      until = now_ms();
      await moveTo(world, clients);
      await heal();
      await redis.replace(old);
    } catch (error) {
      await moveTo(world, clients);
      await heal();
      throw error;
    }
    const state = synced ? `${behind_ms} ms behind` : 'not in step yet';
    return {
      detail: `replica promoted, ${state}; ${first.join(', ')} ${split_ms} ms before the others`,
      loss: { from, until },
    };
  },
};

const clientsOf = (world: World) =>
  world.links.names().filter((name) => name.endsWith('-redis') && name !== REPLICA_LINK);

async function moveTo({ links, redis }: World, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await links.retarget(name, local(redis.primary().port));
    await links.reset(name);
  }
}
