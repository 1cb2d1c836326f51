import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LIMIT_COUNTER_BYTES } from '../domain/ids.ts';
import { RECORD_TTL_DAYS, RECORD_WINDOW_DAYS } from '../domain/limits.ts';
import { REBUILD_SCRIPTS } from './rebuild-scripts.ts';
import { loadScript } from './registry.ts';
import { SCRIPTS } from './scripts.ts';

const verbs = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.lua'))
  .map((file) => file.slice(0, -'.lua'.length));
const bindings = ['scripts.ts', 'rebuild-scripts.ts']
  .map((file) => readFileSync(new URL(`./${file}`, import.meta.url), 'utf8'))
  .join('\n');

test('every verb has a binding and every binding a verb', () => {
  expect(Object.keys({ ...SCRIPTS, ...REBUILD_SCRIPTS }).sort()).toEqual(verbs.sort());
});

/** The call `runScript(redis, SCRIPTS.<verb>, keys, args, ...)` with `const keys = [...]` or `const args = [...]` above it. */
function bindingOf(verb: string): { keys: string[]; args: string[] } {
  const call = new RegExp(
    `runScript\\(\\s*redis,\\s*(?:REBUILD_)?SCRIPTS\\.${verb},\\s*(\\[[^\\]]*\\]|keys),\\s*(\\[[^\\]]*\\]|args),`,
  ).exec(bindings);
  if (!call) throw new Error(`no binding calls SCRIPTS.${verb}`);
  const before = bindings.slice(0, call.index);
  const list = (text: string, name: 'keys' | 'args'): string[] => {
    const literal = text.startsWith('[')
      ? text
      : before.slice(before.lastIndexOf(`const ${name} = [`)).match(/\[[^\]]*\]/)?.[0];
    if (!literal) throw new Error(`no ${name} for ${verb}`);
    return literal
      .slice(1, -1)
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  };
  return { keys: list(call[1], 'keys'), args: list(call[2], 'args') };
}

/** What an ARGV name of a header stands for in a binding, where it is not the last word of the expression. */
const SAME: Record<string, string> = {
  buckets: 'keys',
  batch: 'packed',
  identity: 'identity_now',
  fields: 'flat_fields',
};

/** The name an expression ends in: `sale.epoch` -> epoch, `...days.keys` -> keys, `Math.round(a.b_ms)` -> b_ms. */
function lastName(expression: string): string {
  return expression.match(/\w+/g)?.pop() ?? '';
}

test.each(verbs)('%s: the header names KEYS and ARGV as the binding passes them', (verb) => {
  const script = loadScript(verb);
  const binding = bindingOf(verb);
  const names = (header: readonly string[]) =>
    header.map((name) => name.replace('...', '')).map((n) => SAME[n] ?? n);
  const passed = binding.keys.map(lastName);
  expect(passed).toEqual(names(script.keys));
  expect(binding.args.map(lastName)).toEqual(names(script.args));
});

test.each(verbs)(
  '%s: states purpose and returns, and reads KEYS and ARGV only in its unpacking block',
  (verb) => {
    const text = readFileSync(new URL(`./${verb}.lua`, import.meta.url), 'utf8');
    const lines = text.split('\n');
    expect(lines[0]).toMatch(new RegExp(`^-- ${verb}: .+`));
    expect(text).toMatch(/^-- RETURNS: /m);
    const uses = lines.flatMap((line, i) =>
      /\b(KEYS|ARGV)\[\d/.test(line) && !line.startsWith('--') ? [i] : [],
    );
    // One block: no ARGV[n] or KEYS[n] far below the first.
    expect(Math.max(...uses) - Math.min(...uses)).toBeLessThan(6);
  },
);

test('limit counters have the same names on both sides', () => {
  const text = readFileSync(new URL('./lib/limit.lua', import.meta.url), 'utf8');
  expect(text).toContain(`local LIMIT_COUNTER_BYTES = ${LIMIT_COUNTER_BYTES}\n`);
});

test('the record window is the same on both sides', () => {
  const text = readFileSync(new URL('./lib/buckets.lua', import.meta.url), 'utf8');
  expect(text).toContain(`local RECORD_WINDOW_DAYS = ${RECORD_WINDOW_DAYS}\n`);
  expect(text).toContain(`local RECORD_TTL_DAYS = ${RECORD_TTL_DAYS}\n`);
});
