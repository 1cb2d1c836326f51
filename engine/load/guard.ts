/** Who may come in, put together: connections, requests of one client at once, and what arrives as a whole. */
import type { ClientAddress } from '../access/client-address.ts';
import type { HttpGuard } from '../http.ts';
import { refuse } from '../reply.ts';
import type { Admission } from './admission.ts';
import { census, descriptorsMax } from './census.ts';
import { createConnections } from './connections.ts';
import { createUnderWay } from './under-way.ts';

export type GuardOptions = {
  admission: Admission;
  clientAddress: ClientAddress;
  /** Is this connection of a proxy that we trust? */
  isProxy(peer: string): boolean;
  /** Connections of one address, and requests under way of one client; 0 for no limit. */
  per_address_max: number;
  /** Where this server listens; asked when it does. */
  port(): number;
  refused(why: 'all' | 'address' | 'requests'): void;
};

/** Descriptors for everything that is no client: files, stores, providers. */
const DESCRIPTORS_RESERVED = 256;
/** Where the system does not say how many it allows. */
const CONNECTIONS_MAX = 10_000;

export function createGuard(options: GuardOptions): HttpGuard & { open(): number } {
  const { admission, clientAddress, isProxy, per_address_max, refused } = options;
  const descriptors = descriptorsMax();
  const addressOf = (peer: string) => clientAddress(peer, '');
  const connections = createConnections({
    total_max: descriptors === undefined ? CONNECTIONS_MAX : Math.max(64, descriptors - DESCRIPTORS_RESERVED),
    per_address_max,
    addressOf,
    isProxy,
    census: () => census(options.port(), addressOf),
    refused,
  });
  const under_way = per_address_max > 0 ? createUnderWay(per_address_max) : undefined;
  const clientOf = (peer: string, forwarded_for: string) => clientAddress(peer, forwarded_for);
  return {
    opened: connections.opened,
    closed: connections.closed,
    open: connections.open,
    entered(head) {
      admission.arrived();
      if (!under_way || under_way.enter(clientOf(head.peer, head.forwarded_for))) return undefined;
      refused('requests');
      return TOO_MANY;
    },
    left(head) {
      under_way?.leave(clientOf(head.peer, head.forwarded_for));
    },
  };
}

const TOO_MANY = refuse('rate_limited', {
  detail: 'Too many requests of this address are under way.',
  retry_after_seconds: 1,
});
