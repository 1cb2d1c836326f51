/**
 * The fingerprint of a request: what makes a retry the same request. Method, path and the canonical
 * body (object keys sorted, no white space; the order of a list counts), 128 bits of SHA-256.
 */
import { digest } from './digest.ts';

export type Json =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What JSON writes as it is: no quotes, backslashes, control characters, or halves of surrogate pairs. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/**
 * JSON text that is the same for equal values, whatever the order of their keys. Every checkout pays for it: no lists
 * are made and no library call for a string that is written as it is (docs/performance.md).
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += (text === '' ? '' : ',') + canonicalJson(element);
    return `[${text}]`;
  }
  const record = value as { readonly [key: string]: Json };
  for (const key of sorted(Object.keys(record))) {
    const member = record[key];
    if (member !== undefined) text += `${text === '' ? '' : ','}${quoted(key)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** By insertion: objects here have a handful of keys. Sorts in place, by UTF-16 code units as Array.sort does. */
function sorted(keys: string[]): string[] {
  if (keys.length > 16) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i];
    let at = i - 1;
    for (; at >= 0 && keys[at] > key; at--) keys[at + 1] = keys[at];
    keys[at + 1] = key;
  }
  return keys;
}

/** 16 bytes. `target` is method and path, such as "POST /v1/checkout". */
export function requestFingerprint(target: string, body: Json): Buffer {
  return digest(`${target}\n${canonicalJson(body)}`);
}
