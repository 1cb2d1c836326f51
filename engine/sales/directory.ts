/**
 * The sales an engine knows. A sale's fixed parts (salt, prices, limit) are read from Redis once and kept;
 * epoch and generation follow what scripts tell. Whether an unknown sale exists at all is the
 * ledger's to say: Redis without a record may have lost its memory, which is no reason for a 404.
 */
import type { Redis } from 'ioredis';
import { isName } from '../../domain/ids.ts';
import { readSale } from './read-sale.ts';
import type { Sale } from './sale.ts';

export type SaleAnswer =
  | { kind: 'sale'; sale: Sale }
  | { kind: 'unknown' }
  /** The ledger has it, Redis does not (not loaded yet, or forgotten). */
  | { kind: 'recovering' }
  /** Neither could be asked. */
  | { kind: 'unavailable' };

export type SaleDirectory = {
  get(tenant: string, id: string): Promise<SaleAnswer>;
  /** The sale if this engine already knows it; for the hot path. */
  known(tenant: string, id: string): Sale | undefined;
};

export type SaleDirectoryOptions = {
  redis: Redis;
  /** Does the ledger have this sale? Rejects when it can't be asked. */
  ledgerHas: (tenant: string, id: string) => Promise<boolean>;
  /** How long "unknown" is believed, ms. */
  unknown_ms?: number;
  now_ms?: () => number;
};

/** Ids remembered as unknown at most: guessing must not grow memory. */
const UNKNOWN_MAX = 10_000;

export function createSaleDirectory(options: SaleDirectoryOptions): SaleDirectory {
  const { redis, ledgerHas, unknown_ms = 1_000, now_ms = Date.now } = options;
  const sales = new Map<string, Sale>();
  const unknown_until = new Map<string, number>();
  const under_way = new Map<string, Promise<SaleAnswer>>();

  async function find(tenant: string, id: string, name: string): Promise<SaleAnswer> {
    let sale: Sale | undefined;
    try {
      sale = await readSale(redis, tenant, id);
    } catch {
      return { kind: 'unavailable' };
    }
    if (sale) {
      sales.set(name, sale);
      return { kind: 'sale', sale };
    }
    try {
      if (await ledgerHas(tenant, id)) return { kind: 'recovering' };
    } catch {
      return { kind: 'unavailable' };
    }
    if (unknown_until.size >= UNKNOWN_MAX) unknown_until.clear();
    unknown_until.set(name, now_ms() + unknown_ms);
    return { kind: 'unknown' };
  }

  return {
    known: (tenant, id) => sales.get(`${tenant}:${id}`),
    get(tenant, id) {
      if (!isName(id)) return Promise.resolve({ kind: 'unknown' });
      const name = `${tenant}:${id}`;
      const sale = sales.get(name);
      if (sale) return Promise.resolve({ kind: 'sale', sale });
      if ((unknown_until.get(name) ?? 0) > now_ms()) return Promise.resolve({ kind: 'unknown' });
      const running = under_way.get(name);
      if (running) return running;
      const search = find(tenant, id, name).finally(() => under_way.delete(name));
      under_way.set(name, search);
      return search;
    },
  };
}
