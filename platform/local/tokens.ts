/** Tokens of the local stack, signed with its own secret. */
import { createSigner } from 'fast-jwt';

export function localToken(
  secret: string,
  claims: { sub: string; role: 'buyer' | 'admin'; email?: string },
  ttl_seconds: number,
): string {
  const now_seconds = Math.floor(Date.now() / 1000);
  const sign = createSigner({ key: secret, algorithm: 'HS256' });
  return sign({ ...claims, aud: 'stampede', iat: now_seconds, exp: now_seconds + ttl_seconds });
}
