/**
 * URLs that others give us to send something to. What can be seen of a URL without asking anybody is judged here, when
 * it is given; what its name resolves to is judged with every connection (guarded-post.ts), for that can change.
 */
import { isIP } from 'node:net';
import { addressFault } from './public-address.ts';

export const TARGET_URL_LENGTH_MAX = 2_048;

/** Names that never leave the house or the machine. */
const INSIDE = /(^|\.)(localhost|local|localdomain|internal|home\.arpa)$/;
const HIDDEN = /[\s\\\p{Cc}]/u;
/** Below, other protocols than HTTP listen. */
const PORT_MIN = 1_024;

export type Target = { url: URL } | { fault: string };

/** `local`: for development; `http:` to this machine is fine. */
export function parseTarget(text: string, options: { local: boolean }): Target {
  const { local } = options;
  if (text.length > TARGET_URL_LENGTH_MAX)
    return fault(`must have at most ${TARGET_URL_LENGTH_MAX} characters`);
  // The parser drops or turns them, so that others read another URL than we do.
  if (HIDDEN.test(text)) return fault('must have no spaces, control characters or backslashes');
  if (!URL.canParse(text)) return fault('must be a URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(local && url.protocol === 'http:'))
    return fault('must begin with https://');
  if (url.username !== '' || url.password !== '') return fault('must have no user name and no password');
  if (url.hash !== '') return fault('must have no fragment');
  const host = hostOf(url);
  if (host.endsWith('.')) return fault('must have a host without a dot at its end');
  const here = isLoopback(host);
  if (here && local) return { url };
  if (url.protocol === 'http:') return fault('may begin with http:// only where it leads to this machine');
  if (isIP(host) !== 0) {
    const wrong = addressFault(host, { loopback: false });
    if (wrong) return fault(`must lead to a public address: this one ${wrong}`);
  } else if (INSIDE.test(host) || !host.includes('.')) {
    return fault('must have a host that is known in public');
  }
  if (url.port !== '' && Number(url.port) < PORT_MIN)
    return fault(`must have port 443 or one from ${PORT_MIN}`);
  return { url };
}

/** Without the brackets of IPv6. In lower case, punycode and plain dotted numbers: as the parser has made it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

function isLoopback(host: string): boolean {
  if (isIP(host) !== 0) return addressFault(host, { loopback: true }) === undefined && isLocalNumber(host);
  return host === 'localhost' || host.endsWith('.localhost');
}

const isLocalNumber = (host: string): boolean => host === '::1' || host.startsWith('127.');

const fault = (text: string): Target => ({ fault: text });
