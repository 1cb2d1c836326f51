import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      '{domain,lua,ledger,platform,payments,engine,reconciler,web,bench,scripts,ops,test}/**/*.test.ts',
    ],
    // One Redis and one Postgres for the whole run.
    globalSetup: './test/support/global-setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
