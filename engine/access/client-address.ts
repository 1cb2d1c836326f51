/**
 * Whose request this is for the limit per address. X-Forwarded-For counts only as far as proxies that we
 * trust have written it: read from the right, the first address that is none of them.
 */
import { BlockList, isIP } from 'node:net';
import type { Network } from '../../platform/config.ts';

/** `peer` is the address of the connection; `forwarded_for` the header, '' if absent. */
export type ClientAddress = (peer: string, forwarded_for: string) => string;

export function createClientAddress(trusted_proxies: readonly Network[]): ClientAddress {
  if (trusted_proxies.length === 0) return (peer) => networkOf(plain(peer));
  const trusted = new BlockList();
  for (const { address, prefix, family } of trusted_proxies) trusted.addSubnet(address, prefix, family);
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return (peer, forwarded_for) => {
    let client = plain(peer);
    if (forwarded_for === '') return networkOf(client);
    const hops = forwarded_for.split(',');
    while (hops.length > 0 && isTrusted(client)) {
      const hop = plain((hops.pop() ?? '').trim());
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return networkOf(client);
  };
}

/** Is `peer`, the address of a connection, one of these? */
export function createIsProxy(trusted_proxies: readonly Network[]): (peer: string) => boolean {
  if (trusted_proxies.length === 0) return () => false;
  const trusted = new BlockList();
  for (const { address, prefix, family } of trusted_proxies) trusted.addSubnet(address, prefix, family);
  return (peer) => {
    const address = plain(peer);
    return trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  };
}

const MAPPED = /^(?:::ffff:|0000:0000:0000:0000:0000:ffff:)(.*)$/i;

/** IPv4 inside IPv6 reads as IPv4, whether written 192.0.2.1 or c000:0201. */
function plain(address: string): string {
  const inner = MAPPED.exec(address)?.[1];
  if (inner === undefined) return address;
  if (isIP(inner) === 4) return inner;
  const hex = inner.split(':').map((part) => Number.parseInt(part, 16));
  if (hex.length !== 2 || hex.some((part) => !(part >= 0 && part <= 0xffff))) return address;
  return hex.flatMap((part) => [part >> 8, part & 0xff]).join('.');
}

/** One household or host has a /64 of IPv6: that is what is limited. */
function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [left, right] = address.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right ? right.split(':') : [];
  const zeros =
    right === undefined ? [] : new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  const groups = [...head, ...zeros, ...tail].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
