/** The engine held against itself under another condition. */
import { bodiesFile, run } from './load.ts';
import type { Scenario } from './scenario.ts';

const PLENTY = 100_000_000;

export const hotSku: Scenario = {
  name: 'hot-sku',
  what: 'Everybody wants one SKU, against everybody wants one of 10,000.',
  ...{ a: 'one hot SKU', b: '10,000 uniform SKUs', bar: { at_least: 0.95 } },
  async prepare(lab) {
    const hot = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const uniform = await lab.world.sale({ skus: 10_000, qty: 1_000_000, limit: 1_000 });
    const [hot_bodies, uniform_bodies] = [bodiesFile(lab, hot), bodiesFile(lab, uniform, 10_000)];
    return {
      a: () => run(lab, lab.world.spot, hot_bodies),
      b: () => run(lab, lab.world.spot, uniform_bodies),
      audit: () => lab.world.audit([hot, uniform]),
    };
  },
};

export const ledgerHeldBack: Scenario = {
  name: 'ledger-live',
  what: 'Checkouts while the ledger follows, against checkouts while the reconciler stands still.',
  ...{ a: 'ledger following', b: 'ledger held back' },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const bodies = bodiesFile(lab, sale);
    const { spot, alone } = lab.world;
    return {
      a: () => run(lab, spot, bodies),
      async b() {
        const held_back = await run(lab, { ...spot, alone, settle: undefined }, bodies);
        await spot.settle?.();
        return held_back;
      },
      audit: () => lab.world.audit([sale]),
    };
  },
};

export const fsync: Scenario = {
  name: 'fsync',
  what: 'appendfsync always, against everysec.',
  ...{ a: 'always', b: 'everysec', bar: { at_least: 0.8 } },
  async prepare(lab) {
    const sale = await lab.world.sale({ skus: 1, qty: PLENTY, limit: 1_000 });
    const bodies = bodiesFile(lab, sale);
    const under = (appendfsync: 'always' | 'everysec') => async () => {
      await lab.world.setRedis('appendfsync', appendfsync);
      return run(lab, lab.world.spot, bodies).finally(() => lab.world.setRedis('appendfsync', 'always'));
    };
    return { a: under('always'), b: under('everysec'), audit: () => lab.world.audit([sale]) };
  },
};
