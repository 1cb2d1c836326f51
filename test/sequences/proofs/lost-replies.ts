/**
 * Hazards 1 to 3: the answer of a script is lost, again and again, always after it ran. The engine sends it again, and
 * each key has taken once.
 */
import { isDeepStrictEqual } from 'node:util';
import { SCRIPTS } from '../../../lua/scripts.ts';
import { connect, openTestSale } from '../../../lua/testing/sale.ts';
import { connectRedis, redisReady } from '../../../platform/redis.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { buyOne, engineOn, type Proof, type ProofOptions, startBrokenRedis, taken } from './own-redis.ts';

const LANES = 8;

export async function lostReplies({ times, progress }: ProofOptions): Promise<Proof> {
  const server = await startBrokenRedis();
  const admin = connect(server.url);
  const units = times + 100;
  const { token } = await openTestSale(admin, { tenant: 'default', items: [{ sku: 'a', qty: units }] });
  // What is lost is the answer of the script, not that of a Redis that has yet to learn it.
  await admin.script('LOAD', SCRIPTS.reserve.source);
  const wrong: string[] = [];
  let done = 0;

  async function lane(number: number): Promise<void> {
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
    const redis = connectRedis(`redis://127.0.0.1:${proxy.port}`);
    redis.on('error', () => {});
    const { sale, reserve, failures } = await engineOn(redis, server.url, token.sale);
    const direct = await engineOn(admin, server.url, token.sale);
    for (let i = number; i < times; i += LANES) {
      await redisReady(redis, 60_000);
      proxy.loseReplies(1);
      const first = await buyOne(reserve, sale, `key-${i}`);
      const again = await buyOne(direct.reserve, direct.sale, `key-${i}`);
      if (first.kind !== 'accepted') wrong.push(`key ${i}: ${first.kind}`);
      // That its own first try had taken is a replay, too.
      else if (!first.replayed) wrong.push(`key ${i}: its answer was not lost`);
      else if (!isDeepStrictEqual(first, again)) wrong.push(`key ${i}: another answer the second time`);
      if (++done % 100 === 0) progress?.(`${done} answers lost`);
    }
    wrong.push(...failures.map((error) => `an engine: ${String(error)}`));
    redis.disconnect();
    await proxy.close();
  }

  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  const { sale } = await engineOn(admin, server.url, token.sale);
  const counted = await taken(admin, sale, units);
  for (const [what, count] of Object.entries(counted)) {
    if (count !== times) wrong.push(`${count} ${what} for ${times} keys`);
  }
  admin.disconnect();
  await server.close();
  return { what: 'answers lost after the script ran', done: { lost: done, ...counted }, wrong };
}
