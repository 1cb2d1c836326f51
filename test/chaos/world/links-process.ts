/** The proxies in a process of their own: they must not wait for the clients, nor the clients for them. */
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { Asked, LinkCall } from './links.ts';

const proxies = new Map<string, TcpProxy>();
const healing = new Map<number, () => void>();

async function carryOut(id: number, call: LinkCall): Promise<number | undefined> {
  if (call.what === 'open') {
    const opened = await startTcpProxy(call.target);
    proxies.set(call.name, opened);
    return opened.port;
  }
  if (call.what === 'heal') {
    healing.get(call.id)?.();
    healing.delete(call.id);
    return undefined;
  }
  const proxy = proxies.get(call.name) as TcpProxy;
  if (call.what === 'reset') proxy.resetAll();
  if (call.what === 'retarget') proxy.retarget(call.target);
  if (call.what === 'trouble') healing.set(id, proxy.trouble(call.trouble));
  return undefined;
}

process.on('message', ({ id, call }: Asked) => {
  void carryOut(id, call).then((port) => process.send?.({ id, port }));
});
process.on('disconnect', () => process.exit());
