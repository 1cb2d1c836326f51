/**
 * From an Authorization header to a caller. Verified headers are remembered, bounded, until their token ends:
 * a signature is checked once, not a request.
 */
import type { Caller } from './caller.ts';
import { keySetVerifier } from './key-set.ts';
import { sharedSecretVerifier } from './shared-secret.ts';
import { createTurningMap } from './turning-map.ts';

/**
 * Takes the header as it came, '' if there was none. `undefined`: it does not count. A promise where the keys
 * come from a JWKS and the token is new; it rejects with KeysUnavailable.
 */
export type Authenticate = (header: string) => Caller | undefined | Promise<Caller | undefined>;

export type AuthenticateOptions = {
  jwt_secret?: string;
  jwt_jwks_url?: string;
  now_ms?: () => number;
  /** Verified tokens remembered at most. */
  remembered_max?: number;
};

const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
const HEADER_LENGTH_MAX = 4_096;

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { now_ms = Date.now, remembered_max = 50_000 } = options;
  const remembered = createTurningMap<Caller>(remembered_max);
  const withSecret = options.jwt_secret ? sharedSecretVerifier(options.jwt_secret) : undefined;
  const withKeySet = options.jwt_jwks_url ? keySetVerifier(options.jwt_jwks_url) : undefined;

  function remember(header: string, caller: Caller | undefined): Caller | undefined {
    if (caller) remembered.set(header, caller);
    return caller;
  }

  return (header) => {
    const known = remembered.get(header);
    if (known) return known.expires_at_ms > now_ms() ? known : undefined;
    if (header === '' || header.length > HEADER_LENGTH_MAX) return undefined;
    const token = BEARER.exec(header)?.[1];
    if (!token) return undefined;
    const caller = withSecret?.(token);
    if (caller || !withKeySet) return remember(header, caller);
    return withKeySet(token).then((verified) => remember(header, verified));
  };
}
