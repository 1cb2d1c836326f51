/** Verifies tokens signed with a key of a JWKS. Which algorithm a key may be used for is said by the key. */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { AUDIENCE, type Caller, callerOf } from './caller.ts';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
const FETCH_TIMEOUT_MS = 3_000;

/** The keys could not be fetched: says nothing about the token. */
export class KeysUnavailable extends Error {
  constructor(options: ErrorOptions) {
    super('the key set cannot be fetched', options);
    this.name = 'KeysUnavailable';
  }
}

/** What is wrong with the token itself. */
const TOKEN_ERRORS = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
];

/** Rejects with KeysUnavailable. Unknown key ids make it fetch again, at most once in 30 s. */
export function keySetVerifier(url: string): (token: string) => Promise<Caller | undefined> {
  const keys: JWTVerifyGetKey = createRemoteJWKSet(new URL(url), { timeoutDuration: FETCH_TIMEOUT_MS });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        audience: AUDIENCE,
        requiredClaims: ['sub', 'exp'],
      });
      return callerOf(payload);
    } catch (error) {
      if (TOKEN_ERRORS.some((kind) => error instanceof kind)) return undefined;
      throw new KeysUnavailable({ cause: error });
    }
  };
}
