/** The world of a soak: a ledger that it is given, a sandbox PSP, the place its webhooks go to, and a saga in a process of its own that is killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beat } from '../../ledger/heartbeat.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { installJobs } from '../../payments/jobs/install.ts';
import { createProviders, type Providers } from '../../payments/providers.ts';
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { type TestProvider, testProvider } from '../../reconciler/saga/testing/provider.ts';
import { setHeartbeat } from '../support/ledger.ts';

export type World = {
  db: Pool;
  provider: TestProvider;
  providers: Providers;
  /** Kills the saga with -9, and starts another. Resolves when that works. */
  killSaga(): Promise<void>;
  close(): Promise<void>;
};

const WORKER = fileURLToPath(new URL('../../reconciler/saga/testing/worker.ts', import.meta.url));
/** The providers' calls give up after this, ms. */
const CALL_TIMEOUT_MS = 600;
/** Errors that repeat themselves must not keep a soak waiting for two minutes; no call outlives this patience here. */
const PATIENCE = { same_key_ms: 1_500, quiet_ms: 3_000 };

export async function openWorld(database_url: string): Promise<World> {
  const db = createPool({ url: database_url, max: 10, application_name: 'soak', on_error: () => {} });
  await setHeartbeat(db);
  await installJobs(db);
  const provider = await testProvider();
  const { url, secret } = provider.sandbox;
  const providers = createProviders(
    { psp: 'sandbox', psp_sandbox_url: url, psp_sandbox_secret: secret },
    { timeout_ms: 5_000 },
  );
  provider.deliverTo(async ({ headers, raw }) => {
    const webhook = { provider: 'sandbox', headers, raw, now_ms: Date.now() };
    const { kind } = await receiveWebhook(db, providers, webhook);
    return kind === 'stored' || kind === 'known';
  });
  // What the reconciler does besides the saga: it is there, and ends holds.
  const heart = setInterval(() => void beat(db, { period_ms: 2_000, grace_ms: 0 }).catch(() => {}), 500);
  const sweep = setInterval(() => void expireDue(db, { limit: 500 }).catch(() => {}), 200);

  const settings = JSON.stringify({
    database_url,
    url,
    secret,
    timeout_ms: CALL_TIMEOUT_MS,
    patience: PATIENCE,
  });
  const startSaga = async (): Promise<ChildProcess> => {
    const child = fork(WORKER, [settings], { execArgv: ['--import', 'tsx'] });
    await once(child, 'message');
    return child;
  };
  let saga = await startSaga();
  const kill = async () => {
    const gone = once(saga, 'exit');
    saga.kill('SIGKILL');
    await gone;
  };

  return {
    ...{ db, provider, providers },
    async killSaga() {
      await kill();
      saga = await startSaga();
    },
    async close() {
      clearInterval(heart);
      clearInterval(sweep);
      await kill();
      provider.deliverTo(undefined);
      providers.close();
      await provider.close();
      await db.end();
    },
  };
}
