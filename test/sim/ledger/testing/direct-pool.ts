/** A simulated ledger without a network: for holding it against the real one. */
import type { Pool } from '../../../../platform/postgres.ts';
import type { SimLedger, SimSession, SqlAnswer } from '../server.ts';

type Query = string | { text: string; name?: string; values?: readonly unknown[] };

export function directPool(ledger: SimLedger): Pool {
  const query = (session: SimSession, config: Query): Promise<object> => {
    const { text, name, values = [] } = typeof config === 'string' ? { text: config } : config;
    return new Promise((resolve, reject) => {
      const answer = (done: SqlAnswer) => (done.ok ? resolve(done.result) : reject(done.error));
      session.run(text, name, values, answer);
    });
  };
  const pool = {
    connect: async () => {
      const session = ledger.session();
      const nothing = () => {};
      const run = (config: Query) => query(session, config);
      return { query: run, on: nothing, off: nothing, release: () => session.end(), pipeline: false };
    },
    async query(config: Query) {
      const session = ledger.session();
      const result = await query(session, config);
      session.end();
      return result;
    },
  };
  return pool as unknown as Pool;
}
