/** Hazard 4: SCRIPT FLUSH under load, far more often than anybody would. Nobody gets an error, and each key has taken once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, openTestSale } from '../../../lua/testing/sale.ts';
import { connectRedis, redisReady } from '../../../platform/redis.ts';
import { buyOne, engineOn, type Proof, type ProofOptions, startBrokenRedis, taken } from './own-redis.ts';

const ENGINES = 2;
const LANES = 8;

/** `times`: requests, shared among the engines. */
export async function flushedScripts({ times, progress }: ProofOptions, every_ms = 100): Promise<Proof> {
  const server = await startBrokenRedis();
  const admin = connect(server.url);
  const units = times + 100;
  const { token } = await openTestSale(admin, { tenant: 'default', items: [{ sku: 'a', qty: units }] });
  const wrong: string[] = [];
  let [done, flushes, selling] = [0, 0, true];
  const flushing = (async () => {
    while (selling) {
      await admin.script('FLUSH');
      flushes += 1;
      await sleep(every_ms);
    }
  })();
  const engines = Array.from({ length: ENGINES }, async (_, number) => {
    const redis = connectRedis(server.url);
    redis.on('error', () => {});
    await redisReady(redis, 60_000);
    const { sale, reserve, failures } = await engineOn(redis, server.url, token.sale);
    let next = number;
    const lane = async () => {
      for (let i = next; i < times; i = next) {
        next += ENGINES;
        const outcome = await buyOne(reserve, sale, `key-${i}`);
        if (outcome.kind !== 'accepted') wrong.push(`key ${i}: ${outcome.kind}`);
        if (++done % 10_000 === 0) progress?.(`${done} requests, ${flushes} flushes`);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    wrong.push(...failures.map((error) => `an engine: ${String(error)}`));
    redis.disconnect();
  });
  await Promise.all(engines);
  selling = false;
  await flushing;
  const { sale } = await engineOn(admin, server.url, token.sale);
  const counted = await taken(admin, sale, units);
  for (const [what, count] of Object.entries(counted)) {
    if (count !== times) wrong.push(`${count} ${what} for ${times} keys`);
  }
  admin.disconnect();
  await server.close();
  return { what: 'SCRIPT FLUSH under load', done: { requests: done, flushes, ...counted }, wrong };
}
