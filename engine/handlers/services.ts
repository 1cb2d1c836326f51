/** What handlers are given. Each takes the parts it needs. */
import type { Redis } from 'ioredis';
import type { Providers } from '../../payments/providers.ts';
import type { Pool } from '../../platform/postgres.ts';
import type { PausedBuyers } from '../access/paused-buyers.ts';
import type { FindReservation } from '../checkout/find-reservation.ts';
import type { Reserve } from '../checkout/port.ts';
import type { LedgerGuard } from '../ledger-guard.ts';
import type { SaleDirectory } from '../sales/directory.ts';
import type { StockReader } from '../sales/stock.ts';

export type Services = {
  redis: Redis;
  db: Pool;
  ledger: LedgerGuard;
  sales: SaleDirectory;
  stock: StockReader;
  reserve: Reserve;
  findReservation: FindReservation;
  providers: Providers;
  paused: PausedBuyers;
};
