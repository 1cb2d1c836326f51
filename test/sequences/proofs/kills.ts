/**
 * Hazard 8: kill -9 of Redis under load, with appendfsync always. Whoever was told of a reservation still has it, and
 * nothing was taken that is in no record.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Reservation } from '../../../engine/checkout/port.ts';
import { openTestSale, openVerified } from '../../../lua/testing/sale.ts';
import { seeded } from '../../../payments/sandbox/seeded.ts';
import { connectRedis, redisReady } from '../../../platform/redis.ts';
import { buyOne, engineOn, type Proof, type ProofOptions, startBrokenRedis, taken } from './own-redis.ts';

const LANES = 8;
/** Answers between two kills at most. */
const ANSWERS_MAX = 60;
const UNITS = 50_000_000;

export async function kills({ times, seed, progress }: ProofOptions): Promise<Proof> {
  const draw = seeded(seed);
  const server = await startBrokenRedis();
  const admin = connectRedis(server.url);
  admin.on('error', () => {});
  await redisReady(admin, 60_000);
  const { token, route } = await openTestSale(admin, {
    ...{ tenant: 'default', items: [{ sku: 'a', qty: UNITS }] },
  });
  const redis = connectRedis(server.url);
  redis.on('error', () => {});
  await redisReady(redis, 60_000);
  const { sale, reserve } = await engineOn(redis, server.url, token.sale);
  const wrong: string[] = [];
  const told = new Map<string, Reservation>();
  let [keys, unanswered] = [0, 0];

  for (let kill = 1; kill <= times; kill++) {
    const new_keys = new Map<string, Reservation>();
    const until = Math.floor(draw() * ANSWERS_MAX);
    let over = false;
    const strike = async () => {
      over = true;
      await server.kill();
    };
    let struck: Promise<void> | undefined;
    let begun: () => void = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const lane = async () => {
      while (!over) {
        const key = `key-${keys++}`;
        const outcome = await buyOne(reserve, sale, key);
        if (outcome.kind === 'accepted') new_keys.set(key, outcome.reservation);
        else unanswered += 1;
        // Others are on their way: it dies in the middle of them.
        if (new_keys.size >= until) {
          struck ??= strike();
          begun();
        }
      }
    };
    const lanes = Promise.all(Array.from({ length: LANES }, lane));
    await beginning;
    await struck;
    await server.start();
    await redisReady(admin, 60_000);
    const epoch = await openVerified(admin, sale.token, route);
    sale.token = { ...sale.token, epoch };
    await lanes;
    await redisReady(redis, 60_000);
    const asked = await Promise.all([...new_keys.keys()].map((key) => buyOne(reserve, sale, key)));
    for (const [i, [key, reservation]] of [...new_keys].entries()) {
      const again = asked[i];
      const same =
        again.kind === 'accepted' && again.replayed && isDeepStrictEqual(again.reservation, reservation);
      if (!same) wrong.push(`${key} after kill ${kill}: ${JSON.stringify(again)}`);
      told.set(key, reservation);
    }
    if (kill % 50 === 0)
      progress?.(`${kill} kills, ${told.size} reservations told, ${unanswered} requests without an answer`);
  }
  const counted = await taken(admin, sale, UNITS);
  if (counted.units !== counted.records || counted.units !== counted.streamed || counted.units < told.size)
    wrong.push(`${JSON.stringify(counted)}, and ${told.size} were told`);
  redis.disconnect();
  admin.disconnect();
  await server.close();
  return {
    what: 'kill -9 of Redis under load',
    done: { kills: times, told: told.size, unanswered, ...counted },
    wrong,
  };
}
