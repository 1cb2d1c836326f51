/** WS /v1/sales/{id}/live: who may watch what. */
import { isName } from '../../domain/ids.ts';
import type { Endpoint, LiveEndpoint } from '../endpoint.ts';
import { findSale, isSale } from '../handlers/find-sale.ts';
import { refuse } from '../reply.ts';
import type { SaleDirectory } from '../sales/directory.ts';
import { type LiveHub, topicOf } from './hub.ts';

export const LIVE_PATH = '/v1/sales/{id}/live';

export function liveEndpoint(options: {
  sales: SaleDirectory;
  /** The door of the route with the same path: limits and token. */
  door: Endpoint['admit'];
  hub: LiveHub;
}): LiveEndpoint {
  const { sales, door, hub } = options;
  // A topic names a sale that was known when its first watcher came, and stays known.
  const saleOfTopic = (topic: string) => {
    const colon = topic.indexOf(':');
    return sales.known(topic.slice(0, colon), topic.slice(colon + 1));
  };
  return {
    path: LIVE_PATH,
    async admit(head) {
      const admitted = await door(head);
      if ('refusal' in admitted) return admitted;
      if (!isName(head.params[0])) return { refusal: refuse('not_found') };
      const sale = await findSale(sales, admitted.caller.tenant, head.params[0]);
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
