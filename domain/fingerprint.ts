/**
 * The fingerprint of a request: what makes a retry the same request. Method, path and the canonical
 * body (object keys sorted, no white space; the order of a list counts), 128 bits of SHA-256.
 */
import { hash } from 'node:crypto';

export type Json =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Json[]
  | { readonly [key: string]: Json };

/** JSON text that is the same for equal values, whatever the order of their keys. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const record = value as { readonly [key: string]: Json };
  const members: string[] = [];
  for (const key of Object.keys(record).sort()) {
    if (record[key] !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(record[key])}`);
  }
  return `{${members.join(',')}}`;
}

/** 16 bytes. `target` is method and path, such as "POST /v1/checkout". */
export function requestFingerprint(target: string, body: Json): Buffer {
  return hash('sha256', `${target}\n${canonicalJson(body)}`, 'buffer').subarray(0, 16);
}
