/** What a sale really gets: most want one SKU, some ask again, some alter what they asked, some send nonsense. */
import type { ClientResult } from '../lab/clients/client.ts';
import type { Counts } from '../lab/counts.ts';
import type { Measurement } from '../lab/measure.ts';
import { bodiesFile, run } from './load.ts';
import type { Scenario } from './scenario.ts';

const SKUS = 1_000;

export const mixed: Scenario = {
  name: 'mixed',
  what: '70% new checkouts (80% of one hot SKU), 20% repeated under the same key, 5% altered under a known key, 5% invalid.',
  ...{ a: 'mixed requests', b: 'raw uWebSockets.js echo of the same requests' },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: SKUS, qty: 10_000_000, limit: 1_000 });
    const bodies = bodiesFile(lab, sale, SKUS);
    const wrong: string[] = [];
    return {
      async a() {
        const measured = await run(lab, lab.world.spot, bodies, { mode: 'mixed' });
        wrong.push(...unlike(measured, lab.connections));
        return measured;
      },
      b: () => run(lab, lab.echo.spot, bodies, { mode: 'mixed' }),
      audit: async () => [...(await lab.world.audit([sale])), ...wrong],
    };
  },
};

const EXPECTED: [keyof NonNullable<ClientResult['sent']>, keyof Counts][] = [
  ['fresh', 'accepted'],
  ['retry', 'replayed'],
  ['altered', 'altered'],
  ['invalid', 'invalid'],
];

/** Every kind must have had its own answer. `open`: requests that may have been under way when the client stopped. */
function unlike({ sent, counts }: Measurement, open: number): string[] {
  if (!sent || !counts) return ['the requests of a kind were not counted'];
  return EXPECTED.flatMap(([kind, answer]) =>
    Math.abs(sent[kind] - counts[answer]) <= open
      ? []
      : [`${sent[kind]} requests were ${kind}, and ${counts[answer]} answers ${answer}`],
  );
}
