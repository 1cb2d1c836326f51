/** The Idempotency-Key header: 16 to 255 of A-Za-z0-9_-, or that as a quoted string, which is the same key. */
import { type Refusal, refuse } from './reply.ts';

const KEY = /^(?:([A-Za-z0-9_-]{16,255})|"([A-Za-z0-9_-]{16,255})")$/;
const MISSING = refuse('idempotency_key_missing');
const INVALID = refuse('idempotency_key_invalid');

export function idempotencyKey(header: string): string | Refusal {
  if (header === '') return MISSING;
  const match = KEY.exec(header);
  return match ? (match[1] ?? match[2]) : INVALID;
}
