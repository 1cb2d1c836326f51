/**
 * The hash chain over each sale's history, as a sink: it sees every id once, in order, and no sooner than nothing can
 * still appear before it. It gives way to ingest like the others, so in a rush the chain follows a little later.
 */
import { extendChains } from '../../../ledger/certificate/extend-chains.ts';
import type { IdSink } from '../sink.ts';

/** Ids taken at once: what one transaction holds in memory. */
const IDS_MAX = 2_000;

export type ChainSinkOptions = {
  /** Told of the orders that something happened to, once their events are in the chain. */
  onOrders?: (orderIds: ReadonlySet<string>) => void;
};

export function createChainSink(options: ChainSinkOptions = {}): IdSink {
  return {
    name: 'chain',
    from: 'start',
    ids_max: IDS_MAX,
    async takeIds(tx, range) {
      const { links, order_ids } = await extendChains(tx, range);
      if (order_ids.size > 0) options.onOrders?.(order_ids);
      return links;
    },
  };
}
