/** What a worker under measurement is told, and how it tells that it is nearly done. */
import type { Psp } from '../../payments/port.ts';
import type { ProviderConfig, Providers } from '../../payments/providers.ts';

export type WorkerSettings = {
  database_url: string;
  providers: ProviderConfig;
  /** After so many captures it says `captured`. */
  orders: number;
  /** Of the baseline. */
  tuning?: Tuning;
};

/** The baseline's queue. */
export const BASELINE_QUEUE = 'bench-order';
export type BaselineJob = { order_id: string };

/** Loops that fetch, jobs a fetch, connections to the ledger. */
export type Tuning = { loops: number; batch: number; connections: number };

export function workerSettings(): WorkerSettings {
  return JSON.parse(process.env.WORKER_SETTINGS ?? '') as WorkerSettings;
}

/** The same providers, counting captures. */
export function counted(providers: Providers, orders: number): Providers {
  let captures = 0;
  const chosen: Psp = {
    ...providers.chosen,
    capture: async (request) => {
      const outcome = await providers.chosen.capture(request);
      captures += 1;
      if (captures === orders) process.send?.('captured');
      return outcome;
    },
  };
  return { ...providers, chosen, byName: (name) => (name === chosen.name ? chosen : providers.byName(name)) };
}
