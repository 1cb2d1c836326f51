/** A sale as an engine holds it: all it needs to price and reserve without asking the ledger. */
import type { SaleToken } from '../../lua/scripts.ts';

export type SaleItem = { sku: string; position: number; name: string; unit_price: number };

export type Sale = {
  tenant: string;
  id: string;
  /** Epoch and generation this engine believes in; replaced when a refusal tells of a higher epoch, never by a lower one. */
  token: SaleToken;
  route: Buffer;
  salt: Buffer;
  currency: string;
  /** Units a buyer may hold and own; 0 for none. */
  limit: number;
  hold_ms: number;
  /** 0 for none. */
  opens_at_ms: number;
  closes_at_ms: number;
  items: ReadonlyMap<string, SaleItem>;
  /** SKU names by position. */
  skus: readonly string[];
};

/** Adopts what a refusal told. A lower epoch is never adopted: it is the memory of an older Redis. */
export function adoptEpoch(sale: Sale, told: { epoch: number; generation: number }): void {
  if (told.epoch > sale.token.epoch) {
    sale.token = { ...sale.token, epoch: told.epoch, generation: told.generation };
  }
}
