/** WS /v1/sales/{id}/live: who may watch what. */
import type { Authenticate } from '../access/authenticate.ts';
import { ANYONE } from '../access/caller.ts';
import type { LiveEndpoint } from '../endpoint.ts';
import { findSale, isSale } from '../handlers/find-sale.ts';
import { refuse } from '../reply.ts';
import type { SaleDirectory } from '../sales/directory.ts';
import { type LiveHub, topicOf } from './hub.ts';

export const LIVE_PATH = '/v1/sales/{id}/live';

export function liveEndpoint(options: {
  sales: SaleDirectory;
  authenticate: Authenticate;
  hub: LiveHub;
}): LiveEndpoint {
  const { sales, authenticate, hub } = options;
  // A topic names a sale that was known when its first watcher came, and stays known.
  const saleOfTopic = (topic: string) => {
    const colon = topic.indexOf(':');
    return sales.known(topic.slice(0, colon), topic.slice(colon + 1));
  };
  return {
    path: LIVE_PATH,
    async admit(head) {
      const caller = head.authorization === '' ? ANYONE : await authenticate(head.authorization);
      if (!caller) return { refusal: refuse('unauthorized') };
      const sale = await findSale(sales, caller.tenant, head.params[0]);
      return isSale(sale) ? { topic: topicOf(sale) } : { refusal: sale };
    },
    joined(topic) {
      const sale = saleOfTopic(topic);
      return sale && hub.joined(sale);
    },
    left(topic) {
      const sale = saleOfTopic(topic);
      if (sale) hub.left(sale);
    },
  };
}
