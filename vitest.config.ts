import { configDefaults, defineConfig } from 'vitest/config';

const ALONE = 'test/{e2e,browser,load,model,planted}/**/*.test.ts';

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{domain,lua,ledger,platform,payments,engine,reconciler,verify,web,bench,scripts,ops,test}/**/*.test.ts',
          ],
          exclude: [...configDefaults.exclude, ALONE],
          // One Redis and one Postgres for the whole run.
          globalSetup: './test/support/global-setup.ts',
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // Whole stacks under load: built first, then one after another with the machine to themselves.
          name: 'stack',
          include: [ALONE],
          globalSetup: './test/support/build.ts',
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
