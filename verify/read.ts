/** Members of a JSON object that is not to be trusted. Each throws a Malformed that names the member. */

export class Malformed extends Error {}

export type Json = Readonly<Record<string, unknown>>;

export function parse(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed('it is not JSON');
  }
  return object(value, 'the line');
}

export function object(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Malformed(`${name} is no object`);
  return value as Json;
}

export function list(from: Json, name: string): unknown[] {
  const value = from[name];
  if (!Array.isArray(value)) throw new Malformed(`${name} is no list`);
  return value;
}

export function text(from: Json, name: string): string {
  const value = from[name];
  if (typeof value !== 'string') throw new Malformed(`${name} is no text`);
  return value;
}

export function integer(from: Json, name: string): number {
  const value = from[name];
  if (!Number.isSafeInteger(value)) throw new Malformed(`${name} is no whole number`);
  return value as number;
}

/** A whole number that is not negative. */
export function count(from: Json, name: string): number {
  const value = integer(from, name);
  if (value < 0) throw new Malformed(`${name} is negative`);
  return value;
}

export function textOrNull(from: Json, name: string): string | null {
  return from[name] === null ? null : text(from, name);
}

export function truth(from: Json, name: string): boolean {
  const value = from[name];
  if (typeof value !== 'boolean') throw new Malformed(`${name} is neither true nor false`);
  return value;
}
