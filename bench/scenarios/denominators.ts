/** What the parts could do at most, each alone: what the other figures may be divided by. */
import { connect } from '../../lua/testing/sale.ts';
import { localSettings } from '../../platform/local/settings.ts';
import { copyRates } from '../denominators/copy-rows.ts';
import { fdatasyncsPerSecond } from '../denominators/fdatasync.ts';
import { type Answered, pipelined } from '../denominators/pipeline.ts';
import { redisLoadTimes } from '../denominators/redis-load.ts';
import { startStores } from '../ingest/stores.ts';
import { type Figure, medianFigure, type Stand } from './stand.ts';

const SCRIPT = 'return 1';

export const denominators: Stand = {
  name: 'denominators',
  what: 'What the parts do at most, each alone: pipelined INCR, a minimal EVALSHA, binary COPY, fdatasync, the start of Redis.',
  sizes: {
    'copied-orders': { what: 'three-item orders that are copied', standard: 60_000, quick: 3_000 },
    loaded: { what: 'reservations that Redis loads', standard: 1_000_000, quick: 20_000 },
  },
  async measure({ sizes, pairs, seconds, say }) {
    const figures: Figure[] = [];
    const figure = (what: string, unit: string, values: readonly number[]) => {
      figures.push(...medianFigure(what, unit, values));
    };
    // The time of one scenario's run, for all rounds of one figure together.
    const round_s = seconds / pairs;
    const stores = await startStores();
    try {
      const redis = connect(stores.redis.url);
      const sha = (await redis.script('LOAD', SCRIPT).finally(() => redis.disconnect())) as string;
      const commands = [
        { what: 'INCR, pipelined, appendfsync always', parts: ['INCR', 'counter'] },
        { what: `EVALSHA of "${SCRIPT}", pipelined`, parts: ['EVALSHA', sha, '1', 'key'] },
      ];
      for (const { what, parts } of commands) {
        const rounds: Answered[] = [];
        for (let round = 0; round < pairs; round++)
          rounds.push(await pipelined(stores.redis, parts, round_s));
        figure(
          what,
          'commands/s',
          rounds.map((one) => one.per_s),
        );
        figure(
          `${what}: Redis CPU`,
          'us',
          rounds.map((one) => one.redis_us),
        );
        say(`  ${what}: ${Math.round(figures.at(-2)?.value ?? 0).toLocaleString('en')}/s`);
      }
      const copied = await copyRates(stores, sizes['copied-orders'] ?? 0, pairs);
      figure(
        'binary COPY of what ingest writes, indexes in place',
        'rows/s',
        copied.map((one) => one.rows / one.seconds),
      );
      figure(
        'binary COPY: Postgres CPU of a row',
        'us',
        copied.map((one) => one.postgres_us),
      );
      say(`  COPY: ${Math.round(figures.at(-2)?.value ?? 0).toLocaleString('en')} rows/s`);
    } finally {
      await stores.close();
    }
    const { data_dir } = localSettings(process.env);
    figure(
      'fdatasync of 4 KiB more, where DATA_DIR is',
      'fdatasyncs/s',
      Array.from({ length: pairs }, () => fdatasyncsPerSecond(data_dir, round_s)),
    );
    say(`  fdatasync: ${Math.round(figures.at(-1)?.value ?? 0).toLocaleString('en')}/s`);
    const loaded = sizes.loaded ?? 0;
    const { appended_s, rewritten_s, wrong } = await redisLoadTimes(loaded, say);
    const of = `${loaded.toLocaleString('en')} reservations`;
    figures.push({ what: `start of Redis with ${of}, as they were appended`, value: appended_s, unit: 's' });
    figures.push({ what: `start of Redis with ${of}, AOF rewritten`, value: rewritten_s, unit: 's' });
    return { figures, wrong };
  },
};
