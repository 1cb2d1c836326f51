/**
 * Which addresses a request may go to whose target somebody else chose: global unicast and nothing else. A list of
 * what is forbidden would always lack one; this asks for the one kind that is meant.
 */
import ipaddr from 'ipaddr.js';

/** Where IPv6 hands out global unicast addresses; outside are IPv4-compatible, NAT64, site-local and others. */
const GLOBAL_UNICAST_V6: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** Public by their number, and yet inside somebody's cloud. */
const INSIDE_CLOUDS = new Set(['168.63.129.16']);

/** What is wrong with an address as a target, or undefined. `loopback`: that is fine, too. */
export function addressFault(text: string, options: { loopback: boolean }): string | undefined {
  if (!ipaddr.isValid(text)) return 'is no address';
  const address = ipaddr.parse(text);
  const range = address.range();
  if (range === 'loopback' && options.loopback) return undefined;
  if (INSIDE_CLOUDS.has(address.toString())) return 'is an address inside a cloud';
  if (range !== 'unicast') return `is not public (${range})`;
  if (address instanceof ipaddr.IPv6 && !address.match(GLOBAL_UNICAST_V6)) return 'is not public (reserved)';
  return undefined;
}
