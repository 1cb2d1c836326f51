/**
 * Who has to pause after letting holds run out. Read from the ledger now and then and kept in memory: a checkout never
 * waits for it, and while the ledger is away what was known counts until its time is over.
 */
import { buyerHash } from '../../domain/ids.ts';
import type { PausedBuyer } from '../../ledger/orders/paused-buyers.ts';

export type PausedBuyers = {
  /** Time that the buyer has to wait yet, ms; 0 for none. */
  leftMs(salt: Buffer, buyer: string): number;
  /** Reads once; does nothing while a reading is under way. Never rejects. */
  refresh(): Promise<void>;
  stop(): void;
};

export type PausedBuyersOptions = {
  read: () => Promise<readonly PausedBuyer[]>;
  failed: (error: unknown) => void;
  now_ms?: () => number;
};

/** Readings by itself are this far apart, ms. */
const PERIOD_MS = 2_000;

export function createPausedBuyers(options: PausedBuyersOptions): PausedBuyers {
  const { read, failed, now_ms = Date.now } = options;
  let until = new Map<string, number>();
  let reading: Promise<void> | undefined;

  async function readOnce(): Promise<void> {
    try {
      const found = await read();
      const now = now_ms();
      until = new Map(found.map(({ buyer_hash, left_ms }) => [buyer_hash.toString('base64'), now + left_ms]));
    } catch (error) {
      failed(error);
    }
  }

  function refresh(): Promise<void> {
    reading ??= readOnce().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  const timer = setInterval(() => void refresh(), PERIOD_MS);
  timer.unref();
  void refresh();

  return {
    leftMs(salt, buyer) {
      // Nearly always nobody has to, and a hash is not for nothing.
      if (until.size === 0) return 0;
      const end_ms = until.get(buyerHash(salt, buyer).toString('base64'));
      return end_ms === undefined ? 0 : Math.max(0, end_ms - now_ms());
    },
    refresh,
    stop: () => clearInterval(timer),
  };
}
