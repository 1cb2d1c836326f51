/** Reading what providers send: nothing is taken for what it was not checked to be. */
import { timingSafeEqual } from 'node:crypto';

export type Fields = Readonly<Record<string, unknown>>;

export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The objects of a list; undefined for what is no list of objects alone. */
export function asList(value: unknown): Fields[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = value.map(asFields).filter((item) => item !== undefined);
  return list.length === value.length ? list : undefined;
}

/** The text, or undefined for an empty one and for anything else. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A whole amount in minor units. */
export function asAmount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

export function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString());
  } catch {
    return undefined;
  }
}

/** Is `hex` this digest? The time it takes tells nothing about the digest. */
export function isDigest(hex: string | undefined, digest: Buffer): boolean {
  if (hex === undefined || !/^[0-9a-f]*$/i.test(hex) || hex.length !== digest.length * 2) return false;
  return timingSafeEqual(Buffer.from(hex, 'hex'), digest);
}
