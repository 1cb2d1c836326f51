/**
 * How many connections there may be, in all and of one address. In all: below what the system lets this process open, for
 * a server that can't accept spins on what it can't accept. Of one address: so that nobody takes all of them.
 *
 * The server library tells the address of a connection that comes, and of one that goes only that it went. So what
 * is counted of an address is how many came since the last census; when that would be too many, a census (who is connected
 * now, asked of the system) puts it right. Where the system can't be asked there is no limit per address.
 */
export type Connections = {
  /** One has come. False: close it. */
  opened(peer: string): boolean;
  /** One has gone, refused ones too. */
  closed(): void;
  open(): number;
};

export type ConnectionsOptions = {
  total_max: number;
  /** 0: none. */
  per_address_max: number;
  /** What connections are counted by: an address, or a network of somebody. */
  addressOf(peer: string): string;
  /** Connections of many clients come from there. */
  isProxy(peer: string): boolean;
  /** Connections now, by `addressOf`; undefined where that can't be told. */
  census(): Promise<Map<string, number> | undefined>;
  refused(why: 'all' | 'address'): void;
  now_ms?: () => number;
};

/** Not more often than this: a census costs a few milliseconds. */
const CENSUS_MS_MIN = 250;
/** Addresses kept without a census, at most. */
const ADDRESSES_MAX = 100_000;

export function createConnections(options: ConnectionsOptions): Connections {
  const { total_max, per_address_max, addressOf, isProxy, census, refused } = options;
  const { now_ms = () => performance.now() } = options;
  let total = 0;
  /** At least as many as there are: of the last census, and all that came since it began. */
  let counted = new Map<string, number>();
  let since = new Map<string, number>();
  let running = false;
  let blind = false;
  let taken_ms = Number.NEGATIVE_INFINITY;

  function take(): void {
    if (running || blind || now_ms() - taken_ms < CENSUS_MS_MIN) return;
    running = true;
    since = new Map();
    census().then(
      (found) => {
        running = false;
        taken_ms = now_ms();
        blind = found === undefined;
        counted = found ?? new Map();
        // Those that came meanwhile may be in it, too: counted twice until the next one.
        for (const [address, count] of since) counted.set(address, (counted.get(address) ?? 0) + count);
      },
      () => {
        running = false;
        taken_ms = now_ms();
      },
    );
  }

  function ofAddress(peer: string): boolean {
    if (per_address_max === 0 || blind || isProxy(peer)) return true;
    const address = addressOf(peer);
    const count = (counted.get(address) ?? 0) + 1;
    counted.set(address, count);
    if (running) since.set(address, (since.get(address) ?? 0) + 1);
    if (count > per_address_max || counted.size > ADDRESSES_MAX) take();
    if (count <= per_address_max) return true;
    // Some of those counted may have gone: while that is being found out, a few more are let in, and not any number.
    if (running && count <= per_address_max + Math.ceil(per_address_max / 8)) return true;
    refused('address');
    return false;
  }

  return {
    opened(peer) {
      total += 1;
      if (total > total_max) {
        refused('all');
        return false;
      }
      return ofAddress(peer);
    },
    closed() {
      total -= 1;
    },
    open: () => total,
  };
}
