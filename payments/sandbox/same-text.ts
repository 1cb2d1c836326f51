/** Compares what a caller sends with a secret, in a time that tells nothing about it. */
import { timingSafeEqual } from 'node:crypto';

export function sameText(secret: string): (text: unknown) => boolean {
  const expected = Buffer.from(secret);
  return (text) => {
    if (typeof text !== 'string') return false;
    const given = Buffer.from(text);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
}
