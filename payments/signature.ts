/**
 * Signatures of the sandbox's webhooks: `t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<raw body>")>`,
 * the scheme that Stripe made common. Time and body are signed together, so an old webhook can't be sent again
 * with a new time.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const SIGNATURE_HEADER = 'sandbox-signature';

/** How far the signed time may be from ours, either way. */
export const SIGNATURE_TOLERANCE_MS = 300_000;

const FORM = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

export function sign(secret: string, raw: Buffer, now_ms: number): string {
  const seconds = Math.floor(now_ms / 1000);
  return `t=${seconds},v1=${digest(secret, String(seconds), raw).toString('hex')}`;
}

/** Undefined when the signature is genuine and fresh, else what is wrong with it. */
export function signatureFault(
  secret: string,
  header: string | undefined,
  raw: Buffer,
  now_ms: number,
): 'missing' | 'malformed' | 'wrong' | 'stale' | undefined {
  if (header === undefined) return 'missing';
  const match = FORM.exec(header);
  if (!match) return 'malformed';
  const [, seconds, hex] = match;
  if (!timingSafeEqual(digest(secret, seconds, raw), Buffer.from(hex, 'hex'))) return 'wrong';
  if (Math.abs(now_ms - Number(seconds) * 1000) > SIGNATURE_TOLERANCE_MS) return 'stale';
  return undefined;
}

function digest(secret: string, seconds: string, raw: Buffer): Buffer {
  return createHmac('sha256', secret).update(`${seconds}.`).update(raw).digest();
}
