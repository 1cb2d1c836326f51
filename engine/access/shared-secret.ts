/** Verifies tokens signed with JWT_SECRET: HS256 and nothing else. */
import { createVerifier } from 'fast-jwt';
import { AUDIENCE, type Caller, callerOf } from './caller.ts';

type Verified = { header: Record<string, unknown>; payload: Record<string, unknown> };

/** Returns a function that gives the caller, or undefined for a token that does not count. It never throws. */
export function sharedSecretVerifier(secret: string): (token: string) => Caller | undefined {
  const verify = createVerifier({
    key: secret,
    algorithms: ['HS256'],
    allowedAud: AUDIENCE,
    requiredClaims: ['sub', 'exp', 'aud'],
    complete: true,
    cache: false,
  });
  return (token) => {
    try {
      const { header, payload } = verify(token) as Verified;
      // Extensions that must be understood are not.
      return 'crit' in header ? undefined : callerOf(payload);
    } catch {
      return undefined;
    }
  };
}
