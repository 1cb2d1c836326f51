/**
 * The Lua sources as Redis gets them: each verb's file with its one-line includes written out, and its
 * SHA-1. Also reads the contract headers, which a test holds against the bindings in scripts.ts.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const INCLUDE = /^-- @include (lib\/[a-z_]+)$/gm;

/** A verb's contract as its header states it: the names of KEYS and ARGV, in order. */
export type Contract = { keys: readonly string[]; args: readonly string[] };

export type Script = Contract & { name: string; source: string; sha: string };

function readLua(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
}

/** Includes are flat: a library includes nothing, so there are no cycles. */
function expand(source: string): string {
  return source.replace(INCLUDE, (_line, library: string) => {
    const text = readLua(library);
    if (text.includes('@include')) throw new Error(`lua/${library}.lua may not include others`);
    return text;
  });
}

/** Names after "-- KEYS:" or "-- ARGV:"; none if the header has no such line. */
function headerNames(source: string, label: 'KEYS' | 'ARGV'): string[] {
  const line = new RegExp(`^-- ${label}: (.*)$`, 'm').exec(source);
  return line ? line[1].split(' ') : [];
}

/** Loads a verb. Throws if its file is missing. */
export function loadScript(name: string): Script {
  const text = readLua(name);
  const source = expand(text);
  const sha = createHash('sha1').update(source).digest('hex');
  return { name, source, sha, keys: headerNames(text, 'KEYS'), args: headerNames(text, 'ARGV') };
}
