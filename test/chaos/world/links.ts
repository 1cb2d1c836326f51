/** Every connection between two parts leads through a proxy of its own, so that each can be broken alone. */
import { startTcpProxy, type Target, type TcpProxy } from '../../support/tcp-proxy.ts';

export type Links = {
  names(): string[];
  get(name: string): TcpProxy;
  /** Makes the link `name`, and returns the port at which it is reached. */
  open(name: string, target: Target): Promise<number>;
  close(): Promise<void>;
};

export function createLinks(): Links {
  const proxies = new Map<string, TcpProxy>();
  return {
    names: () => [...proxies.keys()],
    get(name) {
      const found = proxies.get(name);
      if (!found) throw new Error(`no link ${name}`);
      return found;
    },
    async open(name, target) {
      const proxy = await startTcpProxy(target);
      proxies.set(name, proxy);
      return proxy.port;
    },
    async close() {
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    },
  };
}

export const local = (port: number): Target => ({ host: '127.0.0.1', port });
